"""What the project promises to reach; the bench shows each with what a run reached, less too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A figure to be reached.

    Attributes:
        words: what is promised.
        bound: the figure.
        shown: how a figure is written, as a format of `str.format`.
        most: whether what was measured has to stay under the bound, rather than reach it.
    """

    words: str
    bound: float
    shown: str = "{:,.0f} a second"
    most: bool = False

    def reached(self, found: float) -> bool:
        """Whether that is enough; not a number is not."""
        return found < self.bound if self.most else found >= self.bound


TORCH = Target("training, at least 1.5 times plain PyTorch in bfloat16", 1.5, "{:.2f} times")
KERAS = Target("training, at least 4 times plain Keras", 4, "{:.2f} times")
TFDS = Target(
    "reading for training, at least 20 times tensorflow-datasets one by one", 20, "{:.1f} times"
)
READ = Target("reading for training, at least 1,000,000 drawings a second", 1_000_000)
AUGMENTED = Target("augmenting, at least 100,000 drawings a second", 100_000)
WAITING = Target("waiting for input, under 2 % of the time", 0.02, "{:.2%}", most=True)
STAGES = Target("preprocess and tfrecords together, at least 300,000 drawings a second", 300_000)
MEMORY = Target("preprocess and tfrecords, under 1 GiB of memory", 1024, "{:,.0f} MiB", most=True)
WHOLE = Target("dvc repro from empty outputs, within 5 minutes", 300, "{:,.0f} s", most=True)
AGAIN = Target("dvc repro with nothing to do, within 3 seconds", 3, "{:.1f} s", most=True)


def lines(found: Iterable[tuple[Target, str, float | None]]) -> str:
    """A Markdown list: each target, whether this run reached it, and the figure.

    Args:
        found: target, what was measured where its words leave that open (or nothing), and the
            figure; None where it could not be measured.
    """
    return "\n".join(_line(*each) for each in found)


def _line(target: Target, what: str, found: float | None) -> str:
    words = f"{target.words} ({what})" if what else target.words
    if found is None:
        return f"- {words}: not measured"
    verdict = "reached" if target.reached(found) else "**NOT reached**"
    return f"- {words}: {verdict}, {target.shown.format(found)}"
