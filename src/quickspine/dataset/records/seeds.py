"""All randomness comes from (seed, name, epoch): nothing depends on how often or where it ran."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """A 31-bit seed of its own for each (seed, names…), equal on every machine.

    Example:
        derive(1, "backbone/conv1")  # the kernel of one layer
        derive(1, "order", 3)        # the order of the fourth epoch
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
