"""Predict the test split with every model, once, and compare the heads."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine.console import start_tensorflow
    from quickspine.dataset.records.reader import open_records
    from quickspine.evaluation.trained import find, set_aside

    records = open_records(cli.RECORDS, params.data)  # fails before the slow TensorFlow import
    trained = find(params, cli.MODELS, records.digest)
    set_aside(cli.MODELS, params.heads, params.seeds)
    start_tensorflow()
    from quickspine.evaluation.evaluate import evaluate

    with records.reading():
        sheet = cli.SUBSET / "contact-sheet.png"
        evaluate(params, trained, records, cli.EVALUATION, sheet)


if __name__ == "__main__":
    cli.main("evaluate", __doc__ or "", run)
