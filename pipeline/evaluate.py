"""Let every model answer the test split, once, and compare the heads."""

from argparse import Namespace

from quickspine import cli
from quickspine.params import Params


def run(params: Params, args: Namespace) -> None:
    from quickspine.console import start_tensorflow
    from quickspine.dataset.records.reader import open_records
    from quickspine.evaluation.candidates import candidates
    from quickspine.evaluation.trained import find

    records = open_records(cli.RECORDS, params.data)  # says no before TensorFlow's seconds
    trained = find(params, cli.MODELS, records.digest)
    proposed = candidates(trained)
    start_tensorflow()
    from quickspine.evaluation import evaluate, summary
    from quickspine.tracking import attach, tracked_run

    with (
        records.reading(),
        tracked_run(
            params,
            stage="evaluate",
            data_digest=records.digest,
            synthetic=records.manifest["synthetic"],
        ) as tracked,
    ):
        sheet = cli.SUBSET / "contact-sheet.png"
        metrics, own = evaluate.evaluate(params, trained, records, cli.EVALUATION, sheet)
        print(summary.words(metrics))
        tracked.log_metrics(summary.flat(metrics))
        tracked.log_artifact(cli.EVALUATION, "evaluation")
        for digest, values in own.items():
            attach(params.tracking, digest, values)
        tracked.propose(
            proposed,
            source=params.data.name,
            data_digest=records.digest,
            drawings=records.examples("validation"),
        )


if __name__ == "__main__":
    cli.main("evaluate", __doc__ or "", run)
