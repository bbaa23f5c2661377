"""Record in MLflow the runs that wait in mlruns/pending: each once, as it was."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from quickspine.console import make_output_safe
from quickspine.errors import InputError
from quickspine.files import lock
from quickspine.params import Tracking, load
from quickspine.params.paths import project_root
from quickspine.tracking.journal import BusyError, Waiting, claim, waiting
from quickspine.tracking.mlflow_setup import brief, masked, quiet
from quickspine.tracking.store import open_store, store_uri


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit with 0 when nothing is left, 1 when something is, 2 on wrong params."""
    make_output_safe()
    parser = argparse.ArgumentParser(prog="python -m quickspine.tracking.sync", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    args = parser.parse_args(arguments)
    try:
        tracking = load(args.params).tracking
        with lock("sync"):  # of two at once the second one finds nothing left
            left = sync(tracking)
    except InputError as error:
        print(f"sync: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("sync: interrupted; run it again, what is recorded stays once", file=sys.stderr)
        sys.exit(1)
    sys.exit(1 if left else 0)


def sync(tracking: Tracking) -> int:
    """Record what waits, oldest first, and print the result of each; return how many are left."""
    root, uri = project_root(), store_uri(tracking)
    journals = waiting(root)
    if not journals:
        print("sync: nothing waits to be recorded")
        return 0
    if not tracking.enabled:
        raise InputError(
            f"tracking.enabled: received false, but {len(journals)} in mlruns/pending wait to be "
            "recorded; set it to true, or delete that folder"
        )
    try:
        with quiet():
            open_store(tracking, root)
    except Exception as error:
        print(f"sync: {masked(uri)} cannot be opened ({brief(error, uri)}); left:")
        for journal in journals:
            print(f"  {journal.name}")
        return len(journals)
    left = sum(not _record(journal, tracking) for journal in journals)
    print(f"sync: {len(journals) - left} recorded in {masked(uri)}, {left} left")
    return left


def _record(journal: Waiting, tracking: Tracking) -> bool:
    """Record one journal, print the result, and return whether it is recorded."""
    from quickspine.tracking.delivery import deliver

    left: list[str] = []
    notes: list[str] = []
    if journal.is_written():
        tags = journal.begin["tags"]
        left = [f"it is still going on, or was killed, as process {tags['pid']} on {tags['host']}"]
    else:
        try:
            with quiet(), claim(journal.folder) as claimed:
                outcome = deliver(claimed, tracking, project_root())
            left = outcome.left
            notes = [f"refused: {each}" for each in outcome.refused]
            notes += [f"model registry: {outcome.decision}"] if outcome.decision else []
        except FileNotFoundError:
            pass  # recorded by its own relay in between
        except (BusyError, OSError, ValueError) as error:
            left = [brief(error, store_uri(tracking))]
    result = f"left: {'; '.join(left)}" if left else "recorded"
    print("; ".join([f"  {journal.name}: {result}", *notes]), flush=True)
    return not left


if __name__ == "__main__":
    main()
