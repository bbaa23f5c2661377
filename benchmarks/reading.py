"""The rate of the input, and the share of the time that training waits for it.

`python -m benchmarks.reading FOLDER` measures once and prints JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, alternate, progress, run, summarise, summary_table

WIDTHS = (0.25, 1.0)


def measure(quick: bool) -> dict[str, Any]:
    """Measure images read and augmented a second, and the share of waiting at two widths."""
    progress("input: doodles are drawn, read and trained on; it takes minutes")
    drawings, rounds, epochs = (100, 1, 1) if quick else (2000, 5, 3)
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--drawings", str(drawings), "--rounds", str(rounds), "--epochs", str(epochs)]
        printed = run([sys.executable, "-m", "benchmarks.reading", folder, *flags])
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def markdown(found: dict[str, Any]) -> str:
    """Show the rates and the shares."""
    percent = {
        name: {key: 100 * each[key] for key in ("median", "least", "greatest")}
        for name, each in found["waiting"].items()
    }
    return (
        f"{found['images']:,} doodles of the training split, from the page cache:\n\n"
        + summary_table(found["rates"], "images/s")
        + "\n\nTraining with the settings of params.yaml but for the width; an epoch a round:\n\n"
        + summary_table(percent, "% of the time that training waits")
    )


def make_records(folder: Path, drawings: int) -> Path:
    """Draw doodles and write them as records with the code of the stages."""
    from quickspine import sources
    from quickspine.categories import DOODLES
    from quickspine.dataset.prepare import subset
    from quickspine.dataset.records import write
    from quickspine.params import load

    params = load(ROOT / "params.yaml")
    changes = {"source": "doodles", "categories": DOODLES, "drawings_per_category": drawings}
    params = params.model_copy(update={"data": params.data.model_copy(update=changes)})
    raw, chosen, records = (folder / name for name in ("raw", "subset", "records"))
    sources.fetch(params.data, raw)
    subset.preprocess(params, raw, chosen)
    write.write(params.records, raw, chosen, records)
    return records


def reading_rates(records: Any, rounds: int) -> dict[str, list[float]]:
    """Images a second: read shuffled in batches, and read and augmented as params.yaml has it."""
    from quickspine.dataset.augment import augmented
    from quickspine.dataset.records.reader import steady
    from quickspine.params import load

    augment, passes = load(ROOT / "params.yaml").train.augment, 3
    epochs = itertools.count(0, passes)  # other orders in each round

    def rate(batch: int, change: bool) -> float:
        epoch, steps = next(epochs), int(records.examples("train")) // batch
        begin = time.perf_counter()
        data = records.shuffled("train", batch, seed=1, epoch=epoch, epochs=passes)
        if change:
            data = augmented(data, augment, seed=1, epoch=epoch, epochs=passes, steps=steps)
            data = data.prefetch(4).with_options(steady())
        for _ in data:
            pass
        return passes * steps * batch / (time.perf_counter() - begin)

    ways: dict[str, Callable[[], float]] = {
        "read, batch 128": partial(rate, 128, change=False),
        "read, batch 1024": partial(rate, 1024, change=False),
        "read and augmented, batch 128": partial(rate, 128, change=True),
    }
    for way in ways.values():  # compiles graphs; not counted
        way()
    return alternate(ways, rounds)[0]


def waiting_shares(records: Any, width: float, epochs: int) -> list[float]:
    """The share of each epoch's steps, after the first, that training waits for a batch."""
    import keras

    from quickspine.params import load
    from quickspine.training import devices, scratch

    params = load(ROOT / "params.yaml")
    train = params.train.model_copy(update={"width": width, "epochs": epochs + 1})
    steps = records.examples("train") // min(train.batch_size, records.examples("train"))
    waits: list[float] = []
    works: list[float] = []

    class Watched(devices.Device):
        """A device that notes how long each batch is waited for and worked on."""

        def batches(self, data: Any) -> Generator[Any, None, None]:
            given = super().batches(data)
            asked = time.perf_counter()
            for batch in given:
                came = time.perf_counter()
                waits.append(came - asked)
                yield batch
                asked = time.perf_counter()
                works.append(asked - came)

    keras.utils.clear_session()
    device = Watched(**vars(devices.prepare(train, seed=1)))
    changed = params.model_copy(update={"train": train})
    scratch.train(changed, "spinal", 1, records, device, lambda phase, entry: None)
    shares = []
    for first in range(steps, epochs * steps + 1, steps):
        # The work after an epoch's last batch includes validation: it is left out.
        waited, worked = sum(waits[first : first + steps]), sum(works[first : first + steps - 1])
        shares.append(waited / (waited + worked))
    return shares


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty one")
    parser.add_argument("--drawings", type=int, required=True, help="of each category")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True, help="in which waiting is measured")
    args = parser.parse_args()
    place = make_records(args.folder, args.drawings)
    from quickspine.console import start_tensorflow
    from quickspine.dataset.records.reader import open_records

    start_tensorflow()
    records = open_records(place)
    rates = reading_rates(records, args.rounds)
    waiting = {f"width {width:g}": waiting_shares(records, width, args.epochs) for width in WIDTHS}
    found = {
        "images": records.examples("train"),
        "rates": {name: summarise(each) for name, each in rates.items()},
        "waiting": {name: summarise(each) for name, each in waiting.items()},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
