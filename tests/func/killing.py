"""Runs a stage that is struck by a signal at a chosen moment; test_killed.py starts it.

    python killing.py MOMENT COUNT SIGNAL pipeline.train --head spinal --seed 1

strikes when MOMENT comes for the COUNT-th time in the process.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def strike_at(moment: str, count: int, number: signal.Signals) -> None:
    """Patch the code so that the signal comes at the moment, from within."""
    from quickspine.training import checkpoints, loop, step

    left = [count]

    def come() -> bool:
        left[0] -= 1
        return left[0] == 0

    def strike() -> None:
        os.kill(os.getpid(), number)

    replaced, renamed = Path.replace, Path.rename
    compiled = step.compiled_step

    def replace(self: Path, target: Path) -> Path:
        ours = target.suffix == ".checkpoint" and come()
        if ours and moment == "half a checkpoint":
            with self.open("r+b") as file:
                file.truncate(1000)
            strike()
        found = replaced(self, target)
        if ours and moment == "checkpoint in place":
            strike()
        return found

    def rename(self: Path, target: Path) -> Path:
        ours = target.parent.name == "models" and come()
        if ours and moment == "outputs half in place":  # the model is, the rest is not
            shutil.copytree(self, target.with_name(f".partial-{target.name}-1"))
            strike()
        found = renamed(self, target)
        if ours and moment == "outputs in place":
            strike()
        return found

    def struck_step(*given: Any) -> Callable[[Any], Any]:
        real = compiled(*given)

        def one(batch: Any) -> Any:
            if come():
                strike()
            return real(batch)

        return one

    if moment == "step":
        loop.compiled_step = struck_step  # type: ignore[attr-defined,assignment]
    elif moment.startswith("outputs"):
        Path.rename = rename  # type: ignore[method-assign,assignment]
    else:
        Path.replace = replace  # type: ignore[method-assign,assignment]
    checkpoints.EVERY_S = 0.0


if __name__ == "__main__":
    moment, count, name, module, *arguments = sys.argv[1:]
    strike_at(moment, int(count), signal.Signals[name])
    sys.argv = [module, *arguments]
    sys.path[0] = str(Path.cwd())
    runpy.run_module(module, run_name="__main__", alter_sys=True)
