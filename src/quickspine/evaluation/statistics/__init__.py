"""Intervals, paired tests, what a claim needs, and what would settle an open one."""

from quickspine.evaluation.statistics.intervals import Interval, wilson
from quickspine.evaluation.statistics.pairs import Pair, compare, corrected, verdict
from quickspine.evaluation.statistics.power import POWER, Needed, needed

__all__ = [
    "POWER",
    "Interval",
    "Needed",
    "Pair",
    "compare",
    "corrected",
    "needed",
    "verdict",
    "wilson",
]
