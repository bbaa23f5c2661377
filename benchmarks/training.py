"""Training speed: VGG-5 with the spinal head, beside plain PyTorch and plain Keras.

`python -m benchmarks.training --width 1` trains once and prints images a second, as the peers do.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    ROOT,
    UnavailableError,
    alternate,
    last_line,
    progress,
    ratio,
    run,
    summarise,
    summary_table,
)
from quickspine.files import STATE, lock, sha256, whole_file

PEERS = ROOT / "benchmarks" / "peers"
OURS = "quickspine"
WARM_UP = 3  # steps that are not counted, at least: the peers' number
# Name to (the package of its environment, or None for this one; its program and arguments).
PEER_PROGRAMS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "PyTorch, bfloat16": ("torch", ("torch_vgg5.py", "bf16")),
    "PyTorch, float32": ("torch", ("torch_vgg5.py", "fp32")),
    "Keras, float32": (None, ("keras_vgg5.py",)),
}
OWN_RUNS: dict[str, tuple[str, ...]] = {
    OURS: (),
    f"{OURS}, not deterministic": ("--no-deterministic",),
    f"{OURS}, float32": ("--precision", "float32"),
    f"{OURS}, width 0.25": ("--width", "0.25"),
}
# Peers do not promise equal bits for equal runs; quickspine does by default.
COMPARED = {
    "PyTorch, bfloat16": (OURS, f"{OURS}, not deterministic"),
    "PyTorch, float32": (OURS, f"{OURS}, float32"),
    "Keras, float32": (OURS, f"{OURS}, float32"),
}


def measure(quick: bool) -> dict[str, Any]:
    """Measure images a second of everybody in turn, and the ratios to each peer."""
    rounds, steps, batch = (1, 3, 32) if quick else (5, 12, 128)
    program = (sys.executable, "-m", "benchmarks.training")
    own = {name: partial(_rate, [*program, *more], batch, steps) for name, more in OWN_RUNS.items()}
    peers = {
        name: partial(_peer_rate, package, arguments, batch, steps)
        for name, (package, arguments) in PEER_PROGRAMS.items()
    }
    contestants: dict[str, Callable[[], float]] = {**own, **peers}
    rates, unavailable = alternate(contestants, rounds)
    ratios = {
        f"{mine} : {peer}": ratio(rates[mine], rates[peer])
        for peer, several in COMPARED.items()
        for mine in several
        if peer in rates
    }
    return {
        "batch": batch,
        "steps": steps,
        "rates": {name: summarise(each) for name, each in rates.items()},
        "ratios": ratios,
        "unavailable": unavailable,
    }


def markdown(found: dict[str, Any]) -> str:
    """Show rates and ratios as tables, and who could not run."""
    parts = [
        f"VGG-5 at width 1 (unless it says otherwise) with the spinal head, batch {found['batch']},"
        " 24 classes, 28x28 images in memory: forward, backward and update on the CPU, "
        f"{found['steps']} steps a round after warm-up, each in a process of its own. quickspine "
        "is deterministic and in bfloat16 where the CPU has it, unless it says otherwise.",
        summary_table(found["rates"], "images/s"),
        summary_table(found["ratios"], "times as fast") if found["ratios"] else "",
        *(f"{name} was left out: {reason}." for name, reason in found["unavailable"].items()),
    ]
    return "\n\n".join(filter(None, parts))


def _rate(command: Sequence[str | Path], batch: int, steps: int, own_code: bool = True) -> float:
    """Run a program that prints its images a second in its last line."""
    flags = ["--batch", str(batch), "--steps", str(steps)] if own_code else [str(batch), str(steps)]
    printed = last_line(run([*command, *flags], own_code))
    found = re.search(r"([0-9.]+) images/s$", printed)
    if found is None:
        raise RuntimeError(f"{command}: no images/s in {printed!r}")
    return float(found[1])


def _peer_rate(package: str | None, arguments: tuple[str, ...], batch: int, steps: int) -> float:
    try:
        python = Path(sys.executable) if package is None else peer_python(package)
        program, *more = arguments
        return _rate([python, PEERS / program, *more], batch, steps, own_code=False)
    except RuntimeError as error:
        raise UnavailableError(str(error)) from None


def peer_python(package: str, folder: Path = STATE / "peers") -> Path:
    """The interpreter of a peer's environment, made from `peers/<package>.txt` at first use.

    Raises:
        UnavailableError: where it cannot be made: no network, no wheel, no room.
    """
    requirements, place = PEERS / f"{package}.txt", folder.absolute() / package
    python, ready = place / "bin" / "python", place / "ready"
    with lock(f"peers-{package}"):
        made_from = f"{sha256(requirements)} {sys.version}"
        if ready.exists() and ready.read_text(encoding="utf-8") == made_from:
            return python
        progress(f"making an environment for {package} in {place}, once")
        shutil.rmtree(place, ignore_errors=True)
        try:
            run([sys.executable, "-m", "venv", place], own_code=False)
            pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            run((*pip, "--retries", "2", "-r", requirements), own_code=False)
        except BaseException as error:
            shutil.rmtree(place, ignore_errors=True)  # it may be gigabytes
            if isinstance(error, RuntimeError | subprocess.SubprocessError | OSError):
                raise UnavailableError(f"no environment ({error})") from None
            raise
        with whole_file(ready) as partial_file:
            partial_file.write_text(made_from, encoding="utf-8")
    return python


def train_once(width: float, batch: int, steps: int, precision: str, deterministic: bool) -> float:
    """Train one epoch on random images in memory, through `fit` as every training; images/s.

    The epochs before the measured one compile. An epoch holds the validation of one image and the
    copy of the best weights too.
    """
    from quickspine.console import start_tensorflow
    from quickspine.params import load

    start_tensorflow()
    import numpy as np
    import tensorflow as tf

    from quickspine.nets.backbones import classifier
    from quickspine.training import devices
    from quickspine.training.loop import Task, fit
    from quickspine.training.schedules import Constant

    changes = {"width": width, "batch_size": batch, "precision": precision}
    changes["deterministic"] = deterministic
    params = load(ROOT / "params.yaml").train.model_copy(update=changes)
    device = devices.prepare(params, seed=1)
    shape, classes = (28, 28, 1), 24
    images = np.random.default_rng(1).integers(0, 256, (batch, *shape), np.uint8)
    labels = np.arange(batch) % classes
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat(steps)
    with device.strategy.scope():
        model = classifier.build(
            params, "spinal", classes=classes, seed=1, shape=shape, tuned=device.tuned
        )
    ends: list[float] = []
    task = Task(
        name=f"width {width:g}, batch {batch}",
        model=model,
        training=lambda epoch: batches.repeat(),
        validation=batches.unbatch().take(1).batch(1),
        steps=steps,
        epochs=-(-WARM_UP // steps) + 1,
        schedule=Constant(params.learning_rate),
        seed=1,
    )
    fit(task, device, lambda entry: ends.append(time.perf_counter()))
    return steps * batch / (ends[-1] - ends[-2])


def main() -> None:
    """Train once and print images a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--deterministic", action=argparse.BooleanOptionalAction, default=True)
    print(f"quickspine: {train_once(**vars(parser.parse_args())):.1f} images/s")


if __name__ == "__main__":
    main()
