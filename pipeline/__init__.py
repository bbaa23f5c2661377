"""One entry point a stage: `python -m pipeline.fetch` and so on; dvc.yaml runs nothing else."""

import importlib.util
import os
import signal
import sys
from pathlib import Path


def _use_project_environment() -> None:
    """Start again in the project's .venv where this Python lacks the project's packages.

    So `.venv/bin/dvc repro` or an editor's DVC button works in a shell where the environment is
    not active. A queued experiment is a copy below the project: its parents are searched too.
    """
    if importlib.util.find_spec("filelock") and importlib.util.find_spec("tensorflow"):
        return
    for folder in Path(__file__).resolve().parents[1:]:
        python = folder / ".venv" / "bin" / "python"
        known = hasattr(sys, "orig_argv")  # since Python 3.10
        if known and python.exists() and Path(sys.prefix) != folder / ".venv":
            os.execv(python, [str(python), "-m", _module(), *sys.argv[1:]])  # noqa: S606
    sys.exit(
        f"{_module()}: {sys.executable} (Python {sys.version.split()[0]}) lacks the packages of "
        "this project; run `make setup` in its folder, or activate the environment that has them"
    )


def _module() -> str:
    """The module that `python -m` was given; this package is imported before it is known."""
    arguments = getattr(sys, "orig_argv", ["-m", "pipeline"])
    return str(arguments[arguments.index("-m") + 1])


if sys.argv[:1] == ["-m"]:  # python -m pipeline.STAGE: the stage itself is not imported yet
    _use_project_environment()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Until the stage handles signals itself, nothing has begun.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(1))
    # A queued experiment is a checkout of its own: it runs the code it was queued with, not what
    # the installed package, which is the working tree, has become since.
    own = str(Path(__file__).resolve().parents[1] / "src")
    sys.path.insert(0, own)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
