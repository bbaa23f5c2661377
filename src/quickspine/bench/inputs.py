"""How fast drawings are read and changed, beside tensorflow-datasets, and how long one waits."""

from __future__ import annotations

from statistics import median
from typing import Any

from quickspine.bench import processes, table, targets
from quickspine.bench.reading import PEER
from quickspine.bench.sections import Bench, Found
from quickspine.bench.turns import ratio, summary, tell

TITLE = "Input: drawings a second, and how long training waits"
LIMIT_S = 3 * processes.LIMIT_S  # three sets of drawings are written, and all rounds are in it
ONE_BY_ONE = f"{PEER}one by one"
TRAINING = "shuffled"  # how the names of the ways to read for training begin
USUAL = "rotation, shift, zoom"


def measure(bench: Bench) -> Found:
    """Rates of reading and of augmentation, ratios to each of their ways, shares of waiting."""
    size = bench.size
    tell("inputs: reading, augmenting, waiting; it takes minutes")
    found = processes.ours(
        "inputs", str(bench.place), str(bench.folder), "--drawings", str(size.read_drawings),
        "--passes", str(size.passes), "--train-drawings", str(size.train_drawings),
        "--width", str(size.width), "--batch", str(size.batch), "--rounds", str(size.rounds),
        "--epochs", str(size.point_rounds), limit_s=LIMIT_S,
    )  # fmt: skip
    read = found["reading"]
    ratios = {
        f"{mine} to {theirs}": ratio(read[mine], read[theirs])
        for theirs in read
        if theirs.startswith(PEER)
        for mine in read
        if not mine.startswith(PEER)
    }
    work = {
        "read": found["drawings"],
        "passes": size.passes,
        "batch": size.batch,
        "trained_on": found["trained_on"],
    }
    measured = {
        kind: {name: summary(rounds) for name, rounds in found[kind].items()}
        for kind in ("reading", "augmenting", "waiting")
    }
    return {"work": work, **measured, "ratios": ratios}


def markdown(found: Found) -> str:
    """Tables of rates, ratios and shares, and the targets."""
    work, on = found["work"], found["work"]["trained_on"]
    return (
        f"{work['read']:,} doodles of the training split from the page cache, read "
        f"{work['passes']} times a round; tensorflow-datasets reads the first of the same drawings "
        "as its own Quick, Draw! set holds them, in PNG.\n\n"
        + table.rates(found["reading"], "drawings/s")
        + "\n\n"
        + table.ratios(found["ratios"], "how many times as fast")
        + f"\n\nRead shuffled and changed, in batches of {work['batch']}:\n\n"
        + table.rates(found["augmenting"], "drawings/s")
        + "\n\nThe share of an epoch in which training waits for input, its beginning included: "
        f"{on['drawings']:,} drawings in batches of {on['batch']}, by params.yaml but for the "
        "width:\n\n"
        + _shares(found["waiting"])
        + "\n\nAimed at, by medians:\n\n"
        + targets.lines(_reached(found))
    )


def _shares(waiting: dict[str, Any]) -> str:
    rows = [
        (name, f"{each['median']:.2%}", f"{each['fastest']:.2%}") for name, each in waiting.items()
    ]
    return table.table(("waiting", "median", "worst"), rows)


def _reached(found: Found) -> list[tuple[targets.Target, str, float | None]]:
    read = {name: each["rounds"] for name, each in found["reading"].items()}
    ways = [name for name in read if name.startswith(TRAINING)]
    of_tfds = [(targets.TFDS, way, ratio(read[way], read[ONE_BY_ONE])["ratio"]) for way in ways]
    return [
        *of_tfds,
        *((targets.READ, way, median(read[way])) for way in ways),
        (targets.AUGMENTED, USUAL, found["augmenting"][USUAL]["median"]),
        *((targets.WAITING, name, each["median"]) for name, each in found["waiting"].items()),
    ]
