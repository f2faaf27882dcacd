"""Statistics of a sweep: pure functions over arrays whose last axis is the shared seeds. Imports no other room.

pairs        which seeds two rows share, their differences, their spread
intervals    95 % interval of a mean paired difference
p_values     paired t, sign flips, Holm
power        how many seeds detect a difference
looks        testing again after every new seed without more false alarms
comparisons  all of these for the rows of a table
interaction  two factors of a grid
"""

from reports.stats.comparisons import Comparison, compare_with, compare_with_best
from reports.stats.interaction import interaction
from reports.stats.intervals import mean_interval, t_interval
from reports.stats.looks import Looks, calibrate, sequential_p, undecided
from reports.stats.p_values import holm, paired_t, sign_flip
from reports.stats.pairs import MIN_SEEDS, WhyNot, paired, sample_std, why_not
from reports.stats.power import power_of, seeds_needed

__all__ = [
    "MIN_SEEDS",
    "Comparison",
    "Looks",
    "WhyNot",
    "calibrate",
    "compare_with",
    "compare_with_best",
    "holm",
    "interaction",
    "mean_interval",
    "paired",
    "paired_t",
    "power_of",
    "sample_std",
    "seeds_needed",
    "sequential_p",
    "sign_flip",
    "t_interval",
    "undecided",
    "why_not",
]
