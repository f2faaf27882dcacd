"""Exactly the marks that are used are explained; failures are named."""

import dataclasses
import math

import pytest

from orchestrator.store.attempt_record import State
from reports.sources.published import read_published
from reports.stats.power import detectable_difference
from reports.tables.missing_runs import ROWS_NAMED
from reports.tables.notes import Mark
from reports.tables.table import build_table
from tests.reports.conftest import results_of

ROWS = {"base": {"x": 0}, "a": {"x": 1}, "b": {"x": 2}}
FULL = {"base": [0.1, 0.2, 0.3], "a": [0.2, 0.3, 0.4], "b": [0.3, 0.4, 0.5]}


def notes(table):
    return {note.mark: note.text for note in table.notes if note.mark is not Mark.NONE}


def plain(table):
    """The notes that explain no mark, without the smallest detectable difference."""
    texts = [note.text for note in table.notes if note.mark is Mark.NONE]
    return [text for text in texts if not text.startswith("Smallest difference")]


def test_a_complete_table_explains_only_ranks_and_differences(sweep_of, outcomes_of):
    table = build_table(results_of(sweep_of(ROWS), outcomes_of(FULL)))
    assert set(notes(table)) == {Mark.BEST, Mark.SECOND, Mark.DELTA}
    assert "“base”" in notes(table)[Mark.DELTA]
    assert plain(table) == []


def test_a_table_of_costs_explains_nothing(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, columns=("cost/step_ms",))
    values = {"final/miou": 0.4, "cost/step_ms": 3.0}
    assert build_table(results_of(sweep, outcomes_of({label: [values] * 3 for label in ROWS}))).notes == ()


def test_the_example_shows_every_mark(example):
    table = build_table(example, read_published("contrastiveseg_readme"))
    assert set(notes(table)) == set(Mark) - {Mark.NONE, Mark.CHOSEN}, "an ablation chooses nothing"


def test_fewer_seeds_and_failures_are_named(sweep_of, outcomes_of):
    table = build_table(results_of(sweep_of(ROWS), outcomes_of(FULL | {"a": [0.2, State.USER_ERROR, None]})))
    assert notes(table)[Mark.PROVISIONAL].endswith("planned runs are still to come: a 1 of 3.")
    assert notes(table)[Mark.BEST].startswith("best of its column so far")
    assert plain(table) == ["Failed (DivergedError): a, seed 1.", "Not run: a, seed 2."]
    assert [(missing_run.rows, missing_run.seed, missing_run.reason) for missing_run in table.missing_runs] == [
        (("a",), 1, "failed: DivergedError: the loss is nan at step 120"),
        (("a",), 2, "not run"),
    ]


def test_a_metric_that_is_not_finite_is_named(sweep_of, outcomes_of):
    table = build_table(results_of(sweep_of(ROWS), outcomes_of(FULL | {"a": [0.2, math.nan, 0.3]})))
    assert plain(table) == ["mIoU is not a finite number: a, seed 1."]
    assert [missing_run.reason for missing_run in table.missing_runs] == ["not finite: final/miou"]


def test_a_class_without_iou_is_a_note_but_no_missing_run(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, columns=("final/miou", "final/iou/fence"))
    values = {label: [{"final/miou": 0.4, "final/iou/fence": math.nan}] * 3 for label in ROWS}
    table = build_table(results_of(sweep, outcomes_of(values)))
    assert table.complete
    assert notes(table)[Mark.MISSING] == "no value: IoU fence not finite (base, a, b)."


def test_fewer_seeds_in_one_column_names_the_column(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, columns=("final/miou", "final/pixel_accuracy"))
    both, one = {"final/miou": 0.4, "final/pixel_accuracy": 0.8}, {"final/miou": 0.4}
    table = build_table(results_of(sweep, outcomes_of({"base": [both] * 3, "a": [both, one, both], "b": [both] * 3})))
    assert notes(table)[Mark.FEWER] == "fewer seeds than planned, not ranked: a 2 of 3 (Pixel acc.)."


def test_shared_trials_are_named_once(sweep_of, outcomes_of):
    table = build_table(
        results_of(sweep_of(ROWS, shared={"b": "base"}), outcomes_of(FULL | {"base": [0.1, 0.2, State.USER_ERROR]}))
    )
    assert notes(table)[Mark.SHARED] == "rows that compute the same share their runs: base = b."
    assert [row.shared for row in table.rows] == [True, False, True]
    assert [missing_run.rows for missing_run in table.missing_runs] == [("base", "b")]
    assert (table.runs_done, table.runs_planned) == (5, 6)


def test_a_long_list_of_rows_is_cut_and_counted(sweep_of):
    table = build_table(results_of(sweep_of({f"row {index}": {"x": index} for index in range(ROWS_NAMED + 4)}), {}))
    assert plain(table)[0].endswith("; and 4 more rows.")
    assert len(table.missing_runs) == 3 * (ROWS_NAMED + 4)


def from_code(outcomes, facts):
    """The outcomes with the environment that `facts` gives for the name of each trial."""
    return {key: dataclasses.replace(value, environment=facts(key)) for key, value in outcomes.items()}


def test_rows_of_other_code_than_the_baseline_are_marked_and_named(sweep_of, outcomes_of):
    outcomes = from_code(outcomes_of(FULL), lambda key: {"commit": "aaaaaaaaaa" if "a#" in key else "bbbbbbbbbb"})
    table = build_table(results_of(sweep_of(ROWS), outcomes))
    assert {row.label for row in table.rows if Mark.MIXED in row.cell_texts[0].marks} == {"a"}
    assert notes(table)[Mark.MIXED].endswith("commit aaaaaaa (a); commit bbbbbbb (base, b).")


def test_without_a_baseline_different_code_is_a_note(sweep_of, outcomes_of):
    outcomes = from_code(outcomes_of(FULL), lambda key: {"commit": "aaa" if "a#" in key else "bbb"})
    assert plain(build_table(results_of(sweep_of(ROWS, baseline=None), outcomes))) == [
        "The runs come from 2 commits (aaa, bbb): the rows may differ in code."
    ]


@pytest.mark.parametrize(
    ("here", "there", "mixed"),
    [
        pytest.param({"commit": "a"}, {"commit": "a"}, False, id="equal"),
        pytest.param({"commit": "a"}, {"commit": "b"}, True, id="commit"),
        pytest.param({"commit": "a", "diff": ""}, {"commit": "a", "diff": "d1"}, True, id="clean and changed"),
        pytest.param({"commit": "a", "diff": "d1"}, {"commit": "a", "diff": "d2"}, True, id="two changes"),
        pytest.param({"commit": "a", "dirty": "yes"}, {"commit": "a", "dirty": ""}, True, id="older record"),
        pytest.param({"data": "x"}, {"data": "y"}, True, id="data"),
        pytest.param({"commit": "a", "data": "x"}, {"commit": "a"}, False, id="a fact that was not recorded"),
        pytest.param({}, {"commit": "a"}, False, id="nothing recorded"),
    ],
)
def test_what_counts_as_mixed(sweep_of, outcomes_of, here, there, mixed):
    for runs in ("a#", "a#0"):  # a whole row against the baseline; one seed of it against the others
        outcomes = from_code(outcomes_of(FULL), lambda key, runs=runs: here if key.startswith(runs) else there)
        table = build_table(results_of(sweep_of(ROWS), outcomes))
        marked = {row.label for row in table.rows if Mark.MIXED in row.cell_texts[0].marks}
        assert marked == ({"a"} if mixed else set())


def test_a_grid_of_devices_is_not_compared_in_cost(sweep_of, outcomes_of):
    outcomes = from_code(outcomes_of(FULL), lambda key: {"device": "H200" if "a#" in key else "A100"})
    assert plain(build_table(results_of(sweep_of(ROWS), outcomes))) == [
        "The runs come from 2 devices (A100, H200): costs are not comparable."
    ]


def test_runs_of_different_decoders_are_not_silently_compared(sweep_of, outcomes_of):
    versions = {True: "2 with libjpeg 9.5", False: "2 with libjpeg 8"}
    outcomes = from_code(outcomes_of(FULL), lambda key: {"decoder": versions["a#" in key]})
    assert plain(build_table(results_of(sweep_of(ROWS), outcomes))) == [
        "The runs come from 2 decoders (2 with libjpeg 8, 2 with libjpeg 9.5): the pixels of JPEG images may differ."
    ]


@pytest.mark.parametrize(
    ("seeds", "end"),
    [
        ((0,), "; one seed in common: no test."),
        ((0, 1), "; 2 seeds in common: no test."),
        ((0, 1, 2), "; none is significant at 5% (paired t test, Holm over the rows)."),
    ],
)
def test_the_difference_says_whether_it_was_tested(sweep_of, outcomes_of, seeds, end):
    values = {"base": [0.1, 0.2, 0.3], "a": [0.2, 0.1, 0.4], "b": [0.3, 0.1, 0.2]}
    table = build_table(
        results_of(sweep_of(ROWS, seeds=seeds), outcomes_of({label: v[: len(seeds)] for label, v in values.items()}))
    )
    assert notes(table)[Mark.DELTA].endswith(end)


def test_a_clear_difference_is_starred(sweep_of, outcomes_of):
    values = {"base": [0.10, 0.11, 0.12, 0.13], "a": [0.30, 0.312, 0.321, 0.33], "b": [0.11, 0.10, 0.13, 0.12]}
    seeds = (0, 1, 2, 3)
    table = build_table(results_of(sweep_of(ROWS, seeds=seeds), outcomes_of(values, seeds=seeds)))
    assert [row.cell_texts[0].significant for row in table.rows] == [False, True, False]
    assert notes(table)[Mark.SIGNIFICANT] == "p ≤ 0.05 (paired t test, Holm over the rows)."
    assert notes(table)[Mark.DELTA].endswith("over the seeds that both rows have.")
    assert table.rows[1].cell_texts[0].interval.startswith("[+")


def test_seeds_added_until_decided_are_tested_for_every_look(sweep_of, outcomes_of):
    seeds = (0, 1, 2, 3)
    values = {"base": [0.10, 0.11, 0.12, 0.13], "a": [0.14, 0.16, 0.15, 0.18], "b": [0.11, 0.10, 0.13, 0.12]}
    fixed, looked = (
        build_table(results_of(sweep_of(ROWS, seeds=seeds, looks=looks), outcomes_of(values, seeds=seeds)))
        for looks in (None, (3, 4))
    )
    assert fixed.rows[1].cell_texts[0].p < looked.rows[1].cell_texts[0].p
    assert any("corrected for 2 looks, after 3 to 4 seeds" in text for text in plain(looked))
    assert plain(fixed) == []


SMALLEST = "Smallest difference to “base” that is found with 80% power: with 4 seeds mIoU {}, in the unit of the column"


def test_the_smallest_difference_that_could_have_been_found_stands_below_the_table(sweep_of, outcomes_of):
    seeds = (0, 1, 2, 3)
    values = {"base": [0.1] * 4, "a": [0.09, 0.11, 0.10, 0.10], "b": [0.08, 0.12, 0.10, 0.10]}
    results = results_of(sweep_of(ROWS, seeds=seeds), outcomes_of(values, seeds=seeds))
    # variances 2/3 and 8/3 of a squared point, pooled 5/3; tested at 2.5 %, the first of two
    expected = detectable_difference((5 / 3) ** 0.5, 4, 0.05 / 2)
    assert any(note.text.startswith(SMALLEST.format(f"{expected:.2f}")) for note in build_table(results).notes)
    few = build_table(results_of(sweep_of(ROWS, seeds=(0, 1)), outcomes_of({k: v[:2] for k, v in values.items()})))
    assert not any("Smallest difference" in note.text for note in few.notes)
