"""Record in MLflow the runs that wait in mlruns/pending: each once, as it was."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from quickspine.console import make_output_safe
from quickspine.errors import InputError
from quickspine.files import lock
from quickspine.params import Tracking, load
from quickspine.tracking.pending import BusyError, Pending, claimed, pending, sweep_partial
from quickspine.tracking.quiet import brief, masked, quiet
from quickspine.tracking.recording import record_left
from quickspine.tracking.store import open_store, project_root, store_uri


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
    """Record what waits, oldest first, and print what became of each; returns how many are left."""
    root, uri = project_root(), store_uri(tracking)
    sweep_partial(root)
    waiting = pending(root)
    if not waiting:
        print("sync: nothing waits to be recorded")
        return 0
    if not tracking.enabled:
        raise InputError(
            f"tracking.enabled: received false, but {len(waiting)} in mlruns/pending wait to be "
            "recorded; set it to true, or delete that folder"
        )
    try:
        with quiet():
            open_store(tracking, root)
    except Exception as error:
        print(f"sync: {masked(uri)} cannot be opened ({brief(error, uri)}); left:")
        for journal in waiting:
            print(f"  {_named(journal)}")
        return len(waiting)
    reasons = [_record(journal, tracking) for journal in waiting]
    left = len([reason for reason in reasons if reason])
    print(f"sync: {len(waiting) - left} recorded in {masked(uri)}, {left} left")
    return left


def _record(journal: Pending, tracking: Tracking) -> str | None:
    """Record one; returns why it is left."""
    reason, more = None, ""
    if not journal.left_by_its_process():
        owner = journal.begin["owner"]
        reason = (
            f"it is still going on, or was killed, as process {owner['pid']} on {owner['host']}"
        )
    else:
        try:
            with quiet(), claimed(journal.folder) as held:
                outcome = record_left(held, tracking, project_root())
            reason = "; ".join(outcome.left) or None
            more = "".join(f"; refused: {what}" for what in outcome.refused)
        except FileNotFoundError:
            pass  # recorded by its own relay in between
        except (BusyError, OSError, ValueError) as error:
            reason = brief(error, store_uri(tracking))
    print(f"  {_named(journal)}: {f'left: {reason}' if reason else 'recorded'}{more}", flush=True)
    return reason


def _named(journal: Pending) -> str:
    return f"{journal.name} ({journal.id[:8]})"


if __name__ == "__main__":
    main()
