"""Marks, from a table of cases: gaps, one seed, failed, pruned, provisional, NaN, equal means with different n."""

import math
from dataclasses import replace

import pytest

from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_record import PlannedRun
from reports.tables.cell_text import Mark
from reports.tables.table import build_table
from tests.reports.conftest import results_of

ROWS = {"base": {"x": 0}, "a": {"x": 1}, "b": {"x": 2}}
FULL = {"base": [0.10, 0.12, 0.14], "a": [0.20, 0.21, 0.28], "b": [0.30, 0.33, 0.36]}


@pytest.mark.parametrize(
    ("values", "text", "marks", "missing"),
    [
        pytest.param([0.20, 0.21, 0.28], "23.00", [], "", id="complete"),
        pytest.param([0.20, 0.31, 0.42], "31.00", [Mark.ALIKE], "", id="complete, and not told from the baseline"),
        pytest.param([0.20, State.USER_ERROR, 0.22], "21.00", [Mark.FEWER], "", id="failed seed"),
        pytest.param([0.20, State.STOPPED, 0.22], "21.00", [Mark.FEWER], "", id="pruned seed"),
        pytest.param([0.20, math.nan, 0.22], "21.00", [Mark.FEWER], "", id="nan"),
        pytest.param([0.20, {"other": 1.0}, 0.22], "21.00", [Mark.FEWER], "", id="not reported"),
        pytest.param([0.20, None, 0.22], "21.00", [Mark.PROVISIONAL], "", id="not run yet"),
        pytest.param([0.20, State.CANCELLED, 0.22], "21.00", [Mark.PROVISIONAL], "", id="cancelled"),
        pytest.param([0.20, None, State.LOST], "20.00", [Mark.PROVISIONAL], "", id="one seed, one lost"),
        pytest.param([State.USER_ERROR] * 3, "", [], "failed", id="all failed"),
        pytest.param([State.STOPPED] * 3, "", [], "stopped early", id="all pruned"),
        pytest.param([State.DIVERGED, None, None], "", [], "diverged", id="diverged, others not run"),
        pytest.param([None, None, State.OUT_OF_MEMORY], "", [], "out of memory", id="the failure is named first"),
        pytest.param([None] * 3, "", [], "not run", id="nothing run"),
        pytest.param([math.nan] * 3, "", [], "", id="all nan: a dash"),
        pytest.param([{"other": 1.0}] * 3, "", [], "", id="metric not reported: a dash"),
    ],
)
def test_marks_of_a_cell(sweep_of, outcomes_of, values, text, marks, missing):
    cell_text = build_table(results_of(sweep_of(ROWS), outcomes_of(FULL | {"a": values}))).rows[1].cell_texts[0]
    assert (cell_text.mean, list(cell_text.marks), cell_text.missing) == (text, marks, missing)
    if cell_text.cell.n < 3:
        assert cell_text.rank is Mark.NONE


def test_equal_means_with_different_numbers_of_seeds_tie_where_both_are_complete(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, seeds=(0, 1, 2, 3))
    cells = tuple(cell for cell in sweep.cells if cell.row != "a" or cell.seed < 2)  # topped up row by row
    sweep = replace(sweep, cells=cells)
    assert all(isinstance(cell, PlannedRun) for cell in cells)
    values = {"base": [0.1] * 4, "a": [0.3, 0.5], "b": [0.3, 0.5, 0.3, 0.5]}
    table = build_table(results_of(sweep, outcomes_of(values, seeds=(0, 1, 2, 3))))
    _, a, b = (row.cell_texts[0] for row in table.rows)
    assert (a.mean, a.cell.n, a.rank, a.marks) == ("40.00", 2, Mark.BEST, ())
    assert (b.mean, b.cell.n, b.rank, b.marks) == ("40.00", 4, Mark.BEST, ())


def test_two_seeds_are_ranked_but_never_tested(sweep_of, outcomes_of):
    table = build_table(results_of(sweep_of(ROWS, seeds=(0, 1)), outcomes_of({k: v[:2] for k, v in FULL.items()})))
    cell_texts = [row.cell_texts[0] for row in table.rows]
    assert [cell_text.rank for cell_text in cell_texts] == [Mark.NONE, Mark.SECOND, Mark.BEST]
    assert all(cell_text.marks == () and cell_text.p is None and cell_text.interval == "" for cell_text in cell_texts)
    assert "with n < 3 no test is possible" in table.caption


def test_rows_are_compared_with_the_baseline_or_without_one_with_the_best(sweep_of, outcomes_of):
    seeds = tuple(range(6))
    values = {
        "base": [0.100, 0.101, 0.103, 0.102, 0.100, 0.101],
        "a": [0.298, 0.301, 0.303, 0.299, 0.302, 0.300],
        "b": [0.300, 0.300, 0.304, 0.301, 0.301, 0.303],
    }
    outcomes = outcomes_of(values, seeds=seeds)
    table = build_table(results_of(sweep_of(ROWS, seeds=seeds), outcomes))
    assert [row.cell_texts[0].marks for row in table.rows] == [(), (), ()]
    assert [row.cell_texts[0].significant for row in table.rows] == [False, True, True]
    alone = build_table(results_of(sweep_of(ROWS, seeds=seeds, baseline=None), outcomes))
    assert [row.cell_texts[0].marks for row in alone.rows] == [(), (Mark.ALIKE,), ()]
    assert [row.cell_texts[0].delta for row in alone.rows] == ["", "", ""]
