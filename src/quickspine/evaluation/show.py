"""Print the result of the last evaluation, and where its report is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from quickspine.cli import EVALUATION, MODELS, RECORDS
from quickspine.console import make_output_safe
from quickspine.errors import InputError
from quickspine.evaluation import predictions, summary
from quickspine.files import read_json


def main(arguments: Sequence[str] | None = None) -> None:
    """Print it, and exit: 0 done, 2 where there is no evaluation to show."""
    make_output_safe()
    parser = argparse.ArgumentParser(
        prog="python -m quickspine.evaluation.show", description=__doc__
    )
    parser.parse_args(arguments)
    try:
        print(describe(EVALUATION, RECORDS, MODELS))
    except InputError as error:
        print(f"report: {error}", file=sys.stderr)
        sys.exit(2)


def describe(folder: Path, records: Path, models: Path) -> str:
    """Describe `metrics.json` in `folder` and say where `report.html` is.

    Raises:
        InputError: if one of its files is missing or damaged, or it was made from other data or
            models than those in `records` and `models` now.
    """
    metrics, report = folder / "metrics.json", folder / "report.html"
    for path in (metrics, report):
        if not path.is_file():
            raise InputError(f"{path}: missing; run: make repro")
    try:
        words = summary.describe(read_json(metrics, "evaluate"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{metrics}: damaged ({error!r}); run: dvc repro -f evaluate") from None
    predictions.check(folder, records, models)
    return f"{words}\nreport: {report}"


if __name__ == "__main__":
    main()
