"""Train one head with one seed on a pretrained network."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def check(params: Params) -> None:
    from quickspine.nets import pretrained

    chosen = params.finetune
    pretrained.check(chosen.backbone, chosen.weights, chosen.image_size)


def run(params: Params, args: Namespace) -> None:
    from quickspine import inputs
    from quickspine.console import start_tensorflow
    from quickspine.dataset.records.reader import open_records

    inputs.link_weights(params)
    records = open_records(cli.RECORDS, params.data)  # says no before TensorFlow's seconds
    start_tensorflow()
    from quickspine.training import finetune, session

    place = cli.MODELS / f"finetune-{args.head}-{args.seed}"
    with records.reading():
        metrics = session.run(
            finetune.finetune, params, "finetune", args.head, args.seed, records, place
        )
    best = f"validation accuracy {metrics['val_accuracy']:.2%} in epoch {metrics['best_epoch']}"
    print(f"finetune {args.head}, seed {args.seed}: {best}; {place}")


if __name__ == "__main__":
    cli.main("finetune", __doc__ or "", run, check=check, trains=True)
