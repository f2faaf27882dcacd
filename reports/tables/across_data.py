"""Columns across data sets, where a table asks for them: the mean of the data sets, and a test.

A value is the mean over the data sets of one seed, each data set with equal weight, so the tests are about these data
sets: `seeds` tests its paired differences as in any column. `data_sets` asks about data sets in general: each of them
is one observation of the signed-rank test (`reports.stats.signed_rank`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from orchestrator.store.sweep_record import SweepRecord
from reports.stats.comparisons import Comparison, corrected
from reports.stats.pairs import WhyNot
from reports.stats.signed_rank import MIN_DATA_SETS, least_p, signed_rank_p
from reports.tables.aggregate import Cell, mean_of, paired_difference
from reports.tables.cell_text import CellText, Mark, make_cell_texts, ranks_of
from reports.tables.columns import Column

__all__ = ["across_text", "mark_texts", "mean_cells", "texts_across"]

Cells = Mapping[str, Cell]
"""By row label."""


def mean_cells(parts: Sequence[Cells], sweep: SweepRecord) -> dict[str, Cell]:
    """The cells of a metric over the data sets, of which each has one of `parts`, by row label.

    A seed without a value on one of the data sets is a gap, with the reason of the first. Differences are shown unless
    the table asks for the mean alone.
    """
    means: dict[str, Cell] = {}
    for label in parts[0]:
        own = [part[label] for part in parts]
        gaps = {seed: gap for cell in reversed(own) for seed, gap in cell.gaps.items()}
        seeds = [seed for seed in own[0].values if seed not in gaps]
        values = {seed: mean_of([cell.values[seed] for cell in own]) for seed in seeds}
        means[label] = Cell(values=values, gaps=dict(sorted(gaps.items())))
    baseline = sweep.baseline
    if baseline is None or sweep.table.across_data == "mean":
        return means
    reference = means[baseline].values
    return {
        label: cell if label == baseline else replace(cell, delta=paired_difference(cell.values, reference))
        for label, cell in means.items()
    }


def texts_across(
    sweep: SweepRecord, column: Column, parts: Sequence[Cells], shown: Sequence[str]
) -> dict[str, CellText]:
    """The cells of a `column` across data sets for the rows `shown`, by label, tested as the table asks."""
    kind, baseline = sweep.table.across_data, sweep.baseline
    cells = mean_cells(parts, sweep)
    if kind == "seeds":
        return make_cell_texts(column, cells, {}, baseline, shown)
    ranks = ranks_of(column, cells)
    compared = compare_over_data_sets(parts, baseline) if kind == "data_sets" and baseline is not None else {}
    return {
        label: CellText.of(column, cells[label], compared.get(label), rank=ranks.get(label, Mark.NONE))
        for label in shown
    }


def compare_over_data_sets(parts: Sequence[Cells], baseline: str) -> dict[str, Comparison]:
    """Each row against the baseline by its difference on each data set, p corrected by Holm over the rows."""
    found: dict[str, Comparison] = {}
    for label in parts[0]:
        differences = [paired_difference(part[label].values, part[baseline].values) for part in parts]
        known_K = np.array([value for value in differences if value is not None], dtype=np.float64)
        if label == baseline or not len(known_K):
            continue
        few = len(known_K) < MIN_DATA_SETS
        found[label] = Comparison(
            n=len(known_K),
            difference=float(known_K.mean()),
            p_t=None if few else signed_rank_p(known_K),
            untested=WhyNot.FEW_DATA_SETS if few else None,
        )
    return corrected(found)


def mark_texts(sweep: SweepRecord) -> dict[Mark, str]:
    """What the marks mean in these columns, where it is not what they mean in those of a data set."""
    if sweep.table.across_data != "data_sets":
        return {}
    test = "signed-rank test over the data sets, Holm over the rows"
    return {
        Mark.ALIKE: f"not distinguishable from “{sweep.baseline}” ({test}).",
        Mark.SIGNIFICANT: f"p ≤ 0.05 ({test}).",
    }


def across_text(sweep: SweepRecord) -> str:
    """How the columns were computed, and what their test says."""
    kind, count = sweep.table.across_data, len(sweep.data_sets)
    mean = f"Mean of {count} data sets: of each seed the mean over the data sets, each with equal weight."
    if kind == "mean":
        return f"{mean} Its differences are not tested."
    if kind == "data_sets":
        return f"{mean} {signed_rank_text(count)}"
    return (
        f"{mean} Its differences are tested over the seeds, as those on one data set are, so a verdict holds for the "
        "mean of these data sets and says nothing about others."
    )


def signed_rank_text(count: int) -> str:
    """What the signed-rank test over `count` data sets can show."""
    test = "Wilcoxon's signed-rank test over the data sets (Demšar 2006)"
    if count < MIN_DATA_SETS:
        return (
            f"Its differences are not tested: with {count} data sets {test} has no p below {least_p(count):g}, and "
            f"{MIN_DATA_SETS} are needed for one below 0.05."
        )
    return f"Its differences are judged by {test}: each data set is one observation; exact, two-sided, at 5%."
