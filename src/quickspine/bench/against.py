"""Our peers against references of the same command lines: they must do the same work."""

from __future__ import annotations

from pathlib import Path

from quickspine.bench import table
from quickspine.bench.peers import PEERS
from quickspine.bench.sections import Size
from quickspine.bench.turns import in_turn, ratio
from quickspine.errors import InputError


def measure(folder: Path, size: Size) -> str:
    """Tables: the rates of both, in turn, and how many times as fast ours are.

    Args:
        folder: holds programs of the names and command lines of those in `bench/peers/`; both
            run in the peer's environment.
        size: rounds, batch and steps.

    Raises:
        InputError: if it holds none of them.
    """
    if not any((folder / peer.program).is_file() for peer in PEERS):
        names = ", ".join(dict.fromkeys(peer.program for peer in PEERS))
        raise InputError(f"--against: {folder} holds none of {names}")
    contestants = [
        contestant
        for peer in PEERS
        for contestant in (
            peer.contestant(size.batch, size.steps),
            peer.contestant(size.batch, size.steps, folder),
        )
    ]
    turns = in_turn(contestants, size.rounds, "against references")
    ratios = {
        peer.name: ratio(turns.rates[peer.name], turns.rates[reference])
        for peer in PEERS
        if {peer.name, reference := f"{peer.name}, reference"} <= turns.rates.keys()
    }
    found = turns.told()
    return (
        table.rates(found["rates"], "images/s")
        + table.skipped(found["skipped"])
        + "\n\n"
        + table.ratios(ratios, "ours to the reference")
    )
