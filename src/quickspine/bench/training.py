"""VGG-5 with the spinal head against plain PyTorch and plain Keras, in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quickspine.bench import processes, table, targets
from quickspine.bench.peers import PEERS
from quickspine.bench.sections import Bench, Found
from quickspine.bench.turns import Contestant, in_turn, ratio

TITLE = "Training: images a second"
OURS, FREE, EXACT = "quickspine", "quickspine, not deterministic", "quickspine, float32"
# Peers do not promise equal bits for equal runs; quickspine does, unless params say otherwise.
WAYS = {OURS: "deterministic, as by default", FREE: "not deterministic, as the peers are"}
AIMS = {"PyTorch, bfloat16": targets.TORCH, "Keras, float32": targets.KERAS}


def measure(bench: Bench) -> Found:
    """Rates of everybody; our precision; ratios to each peer, and what exactness costs."""
    size, came_to = bench.size, {}

    def own(name: str, precision: str, deterministic: bool) -> Contestant:
        def run() -> float:
            found = processes.ours(
                "train", str(bench.place), "--width", str(size.width), "--batch", str(size.batch),
                "--steps", str(size.steps), "--precision", precision,
                "--deterministic" if deterministic else "--no-deterministic",
            )  # fmt: skip
            came_to[name] = found["precision"]
            return float(found["rate"])

        return Contestant(name, run)

    contestants = [
        own(OURS, "auto", deterministic=True),
        *(peer.contestant(size.batch, size.steps) for peer in PEERS),
        own(FREE, "auto", deterministic=False),
        own(EXACT, "float32", deterministic=True),
    ]
    turns = in_turn(contestants, size.rounds, "training")
    ratios = {
        f"{mine} to {other}": ratio(turns.rates[mine], turns.rates[other])
        for mine, other in _pairs(turns.rates)
    }
    work = {"batch": size.batch, "steps": size.steps, "width": size.width, "head": "spinal"}
    return {"work": work, "precisions": came_to, **turns.told(), "ratios": ratios}


def _pairs(rates: dict[str, list[float]]) -> Iterator[tuple[str, str]]:
    for peer in PEERS:
        if peer.name in rates:
            yield OURS, peer.name
            yield FREE, peer.name
            if "float32" in peer.name:
                yield EXACT, peer.name
    yield OURS, EXACT
    yield FREE, OURS  # what the deterministic mode costs


def markdown(found: dict[str, Any]) -> str:
    """Two tables, rates and ratios, and the targets."""
    work = found["work"]
    precision = found["precisions"][OURS]
    return (
        f"VGG-5 at width {work['width']:g}, {work['head']} head, batch {work['batch']}, 24 classes,"
        " drawings of 28 by 28 pixels in memory, forward, backward and update, on the processor; "
        f"{work['steps']} steps a round after warm-up, every program in a process of its own. "
        f"`precision: auto` came to {precision}; quickspine is deterministic unless it says "
        "otherwise.\n\n"
        + table.rates(found["rates"], "images/s")
        + table.skipped(found["skipped"])
        + "\n\n"
        + table.ratios(found["ratios"], "how many times as fast")
        + "\n\nAimed at, by medians:\n\n"
        + targets.lines(
            (target, how, found["ratios"].get(f"{mine} to {peer}", {}).get("ratio"))
            for peer, target in AIMS.items()
            for mine, how in WAYS.items()
        )
    )
