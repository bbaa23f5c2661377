"""Train a network from random weights with one head and one seed."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine.console import start_tensorflow
    from quickspine.dataset.records.reader import open_records
    from quickspine.nets import sizes

    records = open_records(cli.RECORDS, params.data)  # says no before TensorFlow's seconds
    sizes.check(params, records.shape)
    start_tensorflow()
    from quickspine.training import scratch, session

    place = cli.MODELS / f"train-{args.head}-{args.seed}"
    with records.reading():
        metrics = session.run(scratch.train, params, "train", args.head, args.seed, records, place)
    best = f"validation accuracy {metrics['val_accuracy']:.2%} in epoch {metrics['best_epoch']}"
    print(f"train {args.head}, seed {args.seed}: {best}; {place}")


if __name__ == "__main__":
    cli.main("train", __doc__ or "", run, trains=True)
