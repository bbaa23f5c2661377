"""A block of work as one tracked run: how it starts, and how its end is told."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quickspine.params import Params
from quickspine.tracking.environment import git_facts
from quickspine.tracking.facts import texts
from quickspine.tracking.later import opened
from quickspine.tracking.run import TrackedRun


@contextlib.contextmanager
def tracked_run(
    params: Params,
    *,
    stage: str,
    head: str | None = None,
    seed: int | None = None,
    sections: Sequence[str] = (),
    device: str | None = None,
    data_digest: str | None = None,
    dataset: Mapping[str, Any] | None = None,
    synthetic: bool | None = None,
    tags: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> Iterator[TrackedRun]:
    """Track what happens in the block as one run, named after stage, head and seed.

    An exception in the block ends the run as FAILED; KeyboardInterrupt (Ctrl-C, and in a stage
    SIGTERM too) and `sys.exit` with a signal's code as KILLED; each goes on to the caller.

    Args:
        params: the whole; `params.tracking` says where to.
        stage: such as "train".
        head: such as "spinal".
        seed: of the training.
        sections: of the params that the stage depends on; all, where empty. Never `tracking`.
        device: what it trains on, such as "cpu".
        data_digest: hex sha256 of the data set.
        dataset: facts about the data set to show with it, such as counts.
        synthetic: whether the drawings were made by a program.
        tags: further ones; None values are left out.
        root: the project; `project_root()` where None.

    Yields:
        The run; with `tracking.enabled: false`, one that does nothing.
    """
    run = TrackedRun(params.tracking, root)
    if not params.tracking.enabled:
        yield run
        return
    chosen = [name for name in sections or type(params).model_fields if name != "tracking"]
    flat = {k: v for k, v in params.flat().items() if k.partition(".")[0] in chosen}
    named = {"stage": stage, "head": head, "seed": seed}
    facts = {
        **named,
        "params_digest": params.digest(*chosen),
        "data_digest": data_digest,
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
        "device": device,
        "source": params.data.name,
        "synthetic": synthetic,
        **git_facts(),
        **(tags or {}),
    }
    name = "-".join(str(part) for part in named.values() if part is not None)
    try:
        run.start(name, texts(flat, none="null"), texts(facts))
        if data_digest is not None:
            run.log_dataset(params.data.name, data_digest, dataset or {})
        with opened(run):
            yield run
    except BaseException as error:
        run.end(_status(error), hurried=not isinstance(error, Exception))
        raise
    run.end("FINISHED")


def _status(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        if error.code in (None, 0):
            return "FINISHED"
        signalled = isinstance(error.code, int) and error.code > 128
        return "KILLED" if signalled else "FAILED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"
