"""Every mark that is used is explained, every other is not; failures are named."""

import dataclasses
import math

from orchestrator.records import State
from reports.notes import Mark
from reports.problems import ROWS_NAMED
from reports.tables import build_table

ROWS = {"base": {"x": 0}, "a": {"x": 1}, "b": {"x": 2}}
FULL = {"base": [0.1, 0.2, 0.3], "a": [0.2, 0.3, 0.4], "b": [0.3, 0.4, 0.5]}


def notes(table):
    return {note.mark: note.text for note in table.notes if note.mark is not Mark.NONE}


def plain(table):
    return [note.text for note in table.notes if note.mark is Mark.NONE]


def test_a_complete_table_explains_only_ranks_and_differences(sweep_of, outcomes_of):
    table = build_table(sweep_of(ROWS), outcomes_of(FULL))
    assert set(notes(table)) == {Mark.BEST, Mark.SECOND, Mark.DELTA}
    assert "“base”" in notes(table)[Mark.DELTA]
    assert plain(table) == []


def test_a_table_of_costs_explains_nothing(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, columns=("cost/step_ms",))
    values = {"final/miou": 0.4, "cost/step_ms": 3.0}
    assert build_table(sweep, outcomes_of({label: [values] * 3 for label in ROWS})).notes == ()


def test_the_example_shows_every_mark(example):
    assert set(notes(build_table(*example))) == set(Mark) - {Mark.NONE}


def test_fewer_seeds_and_failures_are_named(sweep_of, outcomes_of):
    table = build_table(sweep_of(ROWS), outcomes_of(FULL | {"a": [0.2, State.USER_ERROR, None]}))
    assert notes(table)[Mark.FEWER] == "fewer seeds than planned, not ranked: a 1 of 3."
    assert plain(table) == ["Failed (DivergedError): a, seed 1.", "Not run: a, seed 2."]
    assert [(problem.rows, problem.seed, problem.reason) for problem in table.problems] == [
        (("a",), 1, "failed: DivergedError: the loss is nan at step 120"),
        (("a",), 2, "not run"),
    ]


def test_a_metric_that_is_not_finite_is_named(sweep_of, outcomes_of):
    table = build_table(sweep_of(ROWS), outcomes_of(FULL | {"a": [0.2, math.nan, 0.3]}))
    assert plain(table) == ["mIoU is not a finite number: a, seed 1."]
    assert [problem.reason for problem in table.problems] == ["not finite: final/miou"]


def test_a_class_without_iou_is_a_note_but_no_problem(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, columns=("final/miou", "final/iou/fence"))
    values = {label: [{"final/miou": 0.4, "final/iou/fence": math.nan}] * 3 for label in ROWS}
    table = build_table(sweep, outcomes_of(values))
    assert table.complete
    assert notes(table)[Mark.MISSING] == "no value: IoU fence not finite (base, a, b)."


def test_fewer_seeds_in_one_column_names_the_column(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, columns=("final/miou", "final/pixel_accuracy"))
    both, one = {"final/miou": 0.4, "final/pixel_accuracy": 0.8}, {"final/miou": 0.4}
    table = build_table(sweep, outcomes_of({"base": [both] * 3, "a": [both, one, both], "b": [both] * 3}))
    assert notes(table)[Mark.FEWER] == "fewer seeds than planned, not ranked: a 2 of 3 (Pixel acc.)."


def test_shared_trials_are_named_once(sweep_of, outcomes_of):
    table = build_table(
        sweep_of(ROWS, shared={"b": "base"}), outcomes_of(FULL | {"base": [0.1, 0.2, State.USER_ERROR]})
    )
    assert notes(table)[Mark.SHARED] == "rows that compute the same share their runs: base = b."
    assert [row.shared for row in table.rows] == [True, False, True]
    assert [problem.rows for problem in table.problems] == [("base", "b")]
    assert (table.runs_done, table.runs_planned) == (5, 6)


def test_a_long_list_of_rows_is_cut_and_counted(sweep_of):
    table = build_table(sweep_of({f"row {index}": {"x": index} for index in range(ROWS_NAMED + 4)}), {})
    assert plain(table)[0].endswith("; and 4 more rows.")
    assert len(table.problems) == 3 * (ROWS_NAMED + 4)


def test_rows_from_different_code_are_flagged(sweep_of, outcomes_of):
    outcomes = outcomes_of(FULL)
    outcomes = {
        key: dataclasses.replace(value, environment={"commit": "aaa" if "a#" in key else "bbb", "device": "cpu"})
        for key, value in outcomes.items()
    }
    assert plain(build_table(sweep_of(ROWS), outcomes)) == [
        "The runs come from 2 commits (aaa, bbb): the rows may differ in code."
    ]
