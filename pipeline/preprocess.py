"""Choose, deduplicate and split the images of data/raw into data/subset."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine.dataset.prepare import subset
    from quickspine.dataset.prepare.count_table import count_table
    from quickspine.nets import sizes
    from quickspine.sources.storage.raw import Raw

    if params.train.enabled:  # what cannot be trained is not prepared, for hours perhaps
        sizes.check(params, Raw(cli.RAW, params.data.categories).shape)
    manifest = subset.preprocess(params, cli.RAW, cli.SUBSET)
    for line in count_table(manifest["splits"]):
        print(f"preprocess: {line}")
    counts = ", ".join(
        f"{split['drawings']:,} {name}" for name, split in manifest["splits"].items()
    )
    dropped = f"{manifest['blank']:,} blank and {manifest['duplicates']:,} repeated left out"
    print(f"preprocess: {manifest['chosen']:,} images: {counts}; {dropped}")


if __name__ == "__main__":
    cli.main("preprocess", __doc__ or "", run)
