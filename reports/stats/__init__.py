"""Statistics of a sweep: pure functions over arrays; the last axis is always the shared seeds.

pairs        which seeds two rows share, their differences, their spread
intervals    95 % interval of a mean paired difference
p_values     paired t, sign flips, Holm
power        how many more seeds a decision needs
looks        testing again after every new seed without more false alarms
comparisons  all of it for the rows of a table
"""

from reports.stats.comparisons import Comparison, compare_with, compare_with_best
from reports.stats.interaction import Interaction, interaction
from reports.stats.intervals import Interval, mean_interval, t_interval
from reports.stats.looks import Decision, Looks, Verdict, calibrate, decide, sequential_p
from reports.stats.p_values import holm, paired_t, sign_flip
from reports.stats.pairs import MIN_SEEDS, WhyNot, paired, sample_std, why_not
from reports.stats.power import power_of, seeds_needed

__all__ = [
    "MIN_SEEDS",
    "Comparison",
    "Decision",
    "Interaction",
    "Interval",
    "Looks",
    "Verdict",
    "WhyNot",
    "calibrate",
    "compare_with",
    "compare_with_best",
    "decide",
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
    "why_not",
]
