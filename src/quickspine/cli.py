"""What the entry points of all stages share: arguments, params, the lock, the exit code."""

from __future__ import annotations

import argparse
import atexit
import gc
import sys
from collections.abc import Callable
from pathlib import Path

from quickspine.console import make_output_safe
from quickspine.errors import InputError
from quickspine.files import checked_outputs, lock, whole_folder, write_json
from quickspine.params import Params, load
from quickspine.signals import stop_by_exception, stop_when_orphaned
from quickspine.space import explained
from quickspine.yaml_file import read

PROJECT = Path(__file__).resolve().parents[2]
RAW = Path("data/raw")
SUBSET = Path("data/subset")
RECORDS = Path("data/records")
MODELS = Path("models")
EVALUATION = Path("evaluation")
SWITCHED = ("train", "finetune")  # have a switch in their section of the params

Work = Callable[[Params, argparse.Namespace], None]


def main(
    stage: str,
    description: str,
    work: Work,
    *,
    check: Callable[[Params], None] = lambda params: None,
    trains: bool = False,
) -> None:
    """Run one stage and exit: 0 done, 2 wrong params or data, 1 anything else.

    Args:
        stage: its name in dvc.yaml.
        description: for --help.
        work: the stage itself.
        check: raises InputError where the params cannot work, before the lock is asked for.
        trains: whether it takes --head and --seed.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipeline.{stage}", description=description)
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    if trains:
        parser.add_argument("--head", required=True, help="one of `heads` in the params")
        parser.add_argument("--seed", required=True, type=int, help="one of `seeds`")
    args = parser.parse_args()
    # At its end Python looks for garbage once more, among TensorFlow's graphs for a second.
    atexit.register(gc.freeze)
    name = f"{stage}-{args.head}-{args.seed}" if trains else stage
    try:
        stop_by_exception()
        make_output_safe()
        stop_when_orphaned()
        params = load(args.params)
        if trains:
            _check_choice("head", args.head, params.heads)
            _check_choice("seed", args.seed, params.seeds)
        unchanged = checked_outputs(lambda: _check_unchanged(stage, params, args.params))
        if stage in SWITCHED and not getattr(params, stage).enabled:
            with lock(name), unchanged:
                _skip(stage, MODELS / name)
            return
        check(params)
        with lock(name), unchanged:
            work(params, args)
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    except FloatingPointError as error:  # a training that diverged: no fault of the code
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        left = "run it again to go on" if trains else "nothing half-made was kept"
        print(f"{name}: interrupted; {left}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # a want of disk or memory is no fault of the code either
        message = explained(error)
        if message is None:
            raise
        print(f"{name}: {message}", file=sys.stderr)
        sys.exit(1)


def _check_unchanged(stage: str, params: Params, path: str) -> None:
    """Refuse outputs whose params were edited meanwhile: DVC would record them under the new ones.

    Raises:
        InputError: naming the keys that changed among those that dvc.yaml lists for the stage.
    """
    before, now = params.flat(), load(path).flat()
    own = tuple(f"{key}." for key in read(PROJECT / "dvc.yaml")["stages"][stage]["params"])
    changed = [
        key
        for key in sorted({*before, *now})
        if f"{key}.".startswith(own) and before.get(key) != now.get(key)
    ]
    if changed:
        raise InputError(f"{path}: {', '.join(changed)} changed while this ran; run it again")


def _skip(stage: str, place: Path) -> None:
    """Leave a folder that says so: DVC wants each stage's output to be there."""
    with whole_folder(place) as folder:
        write_json(folder / "skipped.json", {f"{stage}.enabled": False})
    print(f"{place.name}: skipped, as {stage}.enabled is false")


def _check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        listed = ", ".join(map(str, allowed))
        raise InputError(f"--{name}: {value} is not among {name}s ({listed}); add it there")
