"""How it was measured, and on what exactly."""

from __future__ import annotations

from quickspine.evaluation import page
from quickspine.evaluation.evidence import Evidence
from quickspine.evaluation.page import Section, escape

METHOD = (
    "The heads of a stage were trained with the same seeds, on the same drawings in the same "
    "order, and answered the same test drawings once, after every choice had been made on the "
    "validation drawings.",
    "The interval is a bootstrap that resamples drawings and seeds, widened (Student's t) because "
    "seeds are few: it speaks of other seeds and other drawings (with one seed, of other drawings "
    "only).",
    "Two tests ask whether luck would do as well. One swaps the two heads' answers drawing by "
    "drawing, in all seeds at once: it speaks of these trained models. The other is the lowest "
    "level at which the interval leaves out zero: it speaks of other seeds too. A claim takes the "
    "larger of the two p-values, corrected for the number of comparisons (Holm's correction, over "
    "all pairs of all stages).",
    "A head is called better only if that is below one minus the confidence. Otherwise the verdict "
    "names the largest difference that the interval allows. A point is one per cent of the test "
    "drawings.",
    "McNemar's test looks at one seed: at the drawings that only one of the two heads got right.",
    "Error reduction is the per cent of the second head's errors that the first one avoids.",
)


def method(_: Evidence) -> Section:
    """The rules of the comparison."""
    return Section(
        "method",
        "How this was measured",
        "The rules behind the verdict; they were the same before the result was known.",
        "".join(f"<p>{escape(text)}</p>\n" for text in METHOD),
    )


def repeat(evidence: Evidence) -> Section:
    """What to run, on what it ran, and the digests that tell whether it is the same."""
    return Section(
        "repeat",
        "How to repeat this",
        "With the same params, on the same machine, this command gives the same answers; where a "
        "digest below differs from yours, something else was measured.",
        "<pre>make repro</pre>\n"
        "<h3>Environment</h3>\n"
        + page.table("", [], evidence.environment.items(), "facts")
        + "<h3>Digests (sha256)</h3>\n"
        + page.table("", [], evidence.digests.items(), "facts digests"),
    )
