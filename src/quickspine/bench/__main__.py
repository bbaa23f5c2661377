"""Measure the project and its peers in turn, on this machine; leaves nothing but `bench/results.*`.

Compare numbers of one run only: machines drift. `--quick` shows in a few minutes that all works;
its numbers are not to be quoted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from quickspine.bench import against, report
from quickspine.bench.sections import QUICK, SECTIONS, Bench, Found, Size, section
from quickspine.bench.turns import tell
from quickspine.errors import InputError, NoSpaceError
from quickspine.files import whole_file, write_json
from quickspine.parallel import processors
from quickspine.params import load
from quickspine.signals import stop_by_exception
from quickspine.tracking.environment import environment, git_facts

RESULTS = Path("bench/results.json")
TABLE = Path("bench/results.md")


def measure(names: Sequence[str], place: Path, size: Size, quick: bool) -> Found:
    """What bench/results.json holds.

    Raises:
        InputError: where the params are wrong.
    """
    params = load(place)
    found: dict[str, Found] = {}
    seconds: dict[str, float] = {}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    for name in names:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(params, place.absolute(), Path(folder), size, found)
            found[name] = section(name).measure(bench)
        seconds[name] = round(time.perf_counter() - start, 1)
        tell(f"{name}: done in {seconds[name]:.0f} s")
    return {
        "started": started,
        **git_facts(),
        "environment": environment(),
        "threads": processors(),
        "quick": quick,
        "size": asdict(size),
        "seconds": seconds,
        "sections": found,
    }


def main(
    arguments: Sequence[str] | None = None, full: Size | None = None, quick: Size = QUICK
) -> None:
    """Measure, write `RESULTS` and `TABLE`, print the latter; exit 0 done, 2 wrong params."""
    parser = argparse.ArgumentParser(prog="python -m quickspine.bench", description=__doc__)
    parser.add_argument("--params", default="params.yaml", type=Path, help="default: params.yaml")
    parser.add_argument("--rounds", type=_positive, help="default: 5, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="little of everything: a few minutes")
    which = f"of {', '.join(SECTIONS)}; default: all"
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=which)
    only = "compare the peers with programs of their names there, and do nothing else"
    parser.add_argument("--against", type=Path, metavar="FOLDER", help=only)
    args = parser.parse_args(arguments)
    stop_by_exception()
    size = quick if args.quick else full or Size()
    size = size if args.rounds is None else replace(size, rounds=args.rounds)
    chosen = [name for name in SECTIONS if args.only is None or name in args.only]
    try:
        if args.against is not None:
            print(against.measure(args.against, size))
            return
        results = measure(chosen, args.params, size, args.quick)
    except (InputError, NoSpaceError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; nothing was kept")
    write_json(RESULTS, results)
    text = report.markdown(results)
    with whole_file(TABLE) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"{text}\n{RESULTS}, {TABLE}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    main()
