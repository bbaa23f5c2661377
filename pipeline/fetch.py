"""Fetch the drawings that params.yaml asks for into data/raw."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine import inputs, sources

    inputs.link_data(params)
    manifest = sources.fetch(params.data, cli.RAW)
    rows = sum(entry["rows"] for entry in manifest["categories"])
    size = sum(entry["bytes"] for entry in manifest["categories"])
    count = len(manifest["categories"])
    print(f"fetch: {rows:,} images of {count} categories, {size / 1e6:.1f} MB in {cli.RAW}")


if __name__ == "__main__":
    cli.main("fetch", __doc__ or "", run)
