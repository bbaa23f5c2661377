"""Write the splits that data/subset lists as shuffled TFRecord shards into data/records."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine.dataset.records import write

    manifest = write.write(params.records, cli.RAW, cli.SUBSET, cli.RECORDS)
    for name, split in manifest["splits"].items():
        size = sum(shard["bytes"] for shard in split["shards"])
        shards = len(split["shards"])
        print(f"tfrecords: {name} {split['examples']:,} images, {shards} shards, {size:,} bytes")


if __name__ == "__main__":
    cli.main("tfrecords", __doc__ or "", run)
