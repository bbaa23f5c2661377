"""Train a network from random weights with one head and one seed."""

from argparse import Namespace

from quickspine import stage
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine.chatter import start_tensorflow
    from quickspine.dataset.reader import open_records
    from quickspine.nets import sizes

    records = open_records(stage.RECORDS, params.data)  # says no before TensorFlow's seconds
    sizes.check(params, records.shape)
    start_tensorflow()
    from quickspine.training import session

    place = stage.MODELS / f"train-{args.head}-{args.seed}"
    with records.reading():
        metrics = session.run(params, "train", args.head, args.seed, records, place)
    best = f"validation accuracy {metrics['val_accuracy']:.2%} in epoch {metrics['best_epoch']}"
    print(f"train {args.head}, seed {args.seed}: {best}; {place}")


if __name__ == "__main__":
    stage.main("train", __doc__ or "", run, trains=True)
