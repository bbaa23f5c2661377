"""Intervals, paired tests, what a claim needs, and the power of a comparison."""

from quickspine.evaluation.statistics.intervals import Bootstrap, Interval, wilson
from quickspine.evaluation.statistics.pairs import Pair, compare, corrected, verdict
from quickspine.evaluation.statistics.power import POWER, Needed, detectable_effect, needed

__all__ = [
    "POWER",
    "Bootstrap",
    "Interval",
    "Needed",
    "Pair",
    "compare",
    "corrected",
    "detectable_effect",
    "needed",
    "verdict",
    "wilson",
]
