"""Time the stages on this machine; leaves nothing but `bench/results.json`.

The doodles are drawn whatever the source in params.yaml: they need no network. Training is VGG-5
with the spinal head, from drawings in memory. Compare numbers of one run only: machines drift.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import Any

from quickspine import categories
from quickspine.chatter import start_tensorflow
from quickspine.errors import WrongInputError
from quickspine.files import write_json
from quickspine.params import Params, Train, load
from quickspine.tracking.environment import environment

RESULTS = Path("bench/results.json")
Rates = dict[str, list[float]]  # what was done to drawings a second, a number a round


@dataclass(frozen=True)
class Size:
    """How much is measured: enough for a steady number, in two to five minutes on a laptop."""

    rounds: int = 3
    drawings: int = 500  # of each category
    passes: int = 20  # over the training split, when reading
    steps: int = 4  # of training at width 1; at other widths about as much work


def measure(params: Params, folder: Path, size: Size) -> Rates:
    """Measure everything; `folder` is filled with data to throw away."""
    chosen = {"source": "doodles", "categories": categories.DOODLES, "allow_fewer": False}
    data = params.data.model_copy(update={**chosen, "drawings_per_category": size.drawings})
    rates = _stages(params.model_copy(update={"data": data}), folder, size)
    for width, precision in product(dict.fromkeys((params.train.width, 1.0)), ("float32", "auto")):
        change = {"width": width, "precision": precision, "epochs": size.rounds + 1}
        _train(params.train.model_copy(update=change), size, rates)
    return rates


def _stages(params: Params, folder: Path, size: Size) -> Rates:
    from quickspine import sources
    from quickspine.dataset import reader, records, subset

    raw, chosen, shards = (folder / name for name in ("raw", "subset", "records"))
    rates: Rates = {}

    def rounds(name: str, drawings: int, work: Callable[[int], object]) -> None:
        rates[name] = []
        for number in range(size.rounds):
            _tell(f"{name}, round {number + 1} of {size.rounds}")
            start = time.perf_counter()
            work(number)
            rates[name].append(drawings / (time.perf_counter() - start))

    def read(epoch_of: Callable[[int], Any], number: int) -> None:
        for epoch in range(number * size.passes, (number + 1) * size.passes):
            for _ in epoch_of(epoch):
                pass

    total = len(params.data.categories) * size.drawings
    rounds("doodles", total, lambda _: sources.fetch(params.data, raw))
    rounds("preprocess", total, lambda _: subset.preprocess(params, raw, chosen))
    rounds("tfrecords", total, lambda _: records.write(params.records, chosen, shards))
    opened, batch = reader.open_records(shards), params.train.batch_size
    many = opened.examples("train") * size.passes
    rounds("read in order", many, partial(read, lambda _: opened.ordered("train", batch)))
    shuffled = partial(read, lambda epoch: opened.shuffled("train", batch, seed=1, epoch=epoch))
    rounds("read shuffled", many, shuffled)
    return rates


def _train(train: Train, size: Size, rates: Rates) -> None:
    """Add images a second of each epoch but the first, which compiles."""
    import keras
    import numpy as np
    import tensorflow as tf

    from quickspine.nets import scratch
    from quickspine.training import devices
    from quickspine.training.loop import Task, fit
    from quickspine.training.scratch import schedule

    keras.utils.clear_session()
    device = devices.prepare(train, seed=1)
    name = f"train, width {train.width:g}, {device.precision}"
    if name in rates:  # `auto` picked float32
        return
    _tell(name)
    steps = max(1, round(size.steps / train.width**2))
    random, classes = np.random.default_rng(1), len(categories.DOODLES)
    images = random.integers(0, 256, (train.batch_size, 28, 28, 1), np.uint8)
    batch = tf.data.Dataset.from_tensors((images, np.arange(train.batch_size) % classes))
    with device.strategy.scope():
        model = scratch.build(train, "spinal", classes=classes, seed=1, shape=(28, 28, 1))
    training, validation = (lambda epoch: batch.repeat(steps)), batch.unbatch().take(1).batch(1)
    rate = schedule(train, steps)
    task = Task(name, model, training, validation, steps, train.epochs, rate, seed=1)
    ends: list[float] = []
    fit(task, device, lambda entry: ends.append(time.perf_counter()))
    rates[name] = [steps * train.batch_size / (end - start) for start, end in pairwise(ends)]


def table(rates: Rates) -> str:
    """The medians in words, a line each, with the slowest and the fastest round."""
    lines = [f"{'drawings a second':<28}{'median':>10}{'slowest':>10}{'fastest':>10}"]
    for name, found in rates.items():
        numbers = (median(found), min(found), max(found))
        lines.append(f"{name:<28}" + "".join(f"{number:>10,.0f}" for number in numbers))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write `RESULTS`, print the table; exit 0 done, 2 wrong params."""
    parser = argparse.ArgumentParser(prog="python -m quickspine.bench", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="default: params.yaml")
    args = parser.parse_args(arguments)
    try:
        params = load(args.params)
        start_tensorflow()
        with tempfile.TemporaryDirectory() as folder:
            rates = measure(params, Path(folder), Size())
    except WrongInputError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; nothing was kept")
    results = {name: {"median": median(found), "rounds": found} for name, found in rates.items()}
    write_json(RESULTS, {"environment": environment(), "drawings_per_second": results})
    print(f"{table(rates)}\n{RESULTS}")


def _tell(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
