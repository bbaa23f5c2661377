"""The result in words, and where the report is: what the last evaluation left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from quickspine.errors import WrongInputError
from quickspine.evaluation import summary
from quickspine.files import read_json
from quickspine.stage import EVALUATION


def main(arguments: Sequence[str] | None = None) -> None:
    """Print it, and exit: 0 done, 2 where there is no evaluation to show."""
    parser = argparse.ArgumentParser(
        prog="python -m quickspine.evaluation.show", description=__doc__
    )
    parser.parse_args(arguments)
    try:
        print(shown(EVALUATION))
    except WrongInputError as error:
        print(f"report: {error}", file=sys.stderr)
        sys.exit(2)


def shown(folder: Path) -> str:
    """The words of `metrics.json` in `folder`, and the place of `report.html` there.

    Raises:
        WrongInputError: if one of the two is missing, or the first is damaged.
    """
    metrics, report = folder / "metrics.json", folder / "report.html"
    for path in (metrics, report):
        if not path.is_file():
            raise WrongInputError(f"{path}: missing; run: make repro")
    try:
        words = summary.words(read_json(metrics, "evaluate"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WrongInputError(
            f"{metrics}: damaged ({error!r}); run: dvc repro -f evaluate"
        ) from None
    return f"{words}\nreport: {report}"


if __name__ == "__main__":
    main()
