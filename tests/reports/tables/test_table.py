"""Which cells are marked, the order of rows and columns, and what the caption says."""

import math

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_record import TableRecord
from orchestrator.workload.protocol_record import ProtocolRecord
from reports.sources.published import Published, PublishedRow
from reports.tables.combined_table import combine_tables
from reports.tables.notes import Mark
from reports.tables.row_headers import factor_text, short_names
from reports.tables.table import build_table
from tests.reports.conftest import results_of

MIOU = "final/miou"
ROWS = {"base": {"x": 0}, "a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}}
BASE = [0.10, 0.10, 0.10]


def ranks(table, column=0):
    return {row.label: row.cell_texts[column].rank for row in table.rows}


@pytest.mark.parametrize(
    ("values", "best", "second"),
    [
        pytest.param({"a": [0.3] * 3, "b": [0.5] * 3, "c": [0.4] * 3}, {"b"}, {"c"}, id="plain"),
        pytest.param({"a": [0.5] * 3, "b": [0.5] * 3, "c": [0.4] * 3}, {"a", "b"}, {"c"}, id="tie for best"),
        pytest.param({"a": [0.5] * 3, "b": [0.4] * 3, "c": [0.4] * 3}, {"a"}, {"b", "c"}, id="tie for second"),
        pytest.param(
            {"a": [0.50001] * 3, "b": [0.50004] * 3, "c": [0.4] * 3}, {"a", "b"}, {"c"}, id="equal as printed"
        ),
        pytest.param({"a": [0.50, 0.51, 0.52], "b": [0.51] * 3, "c": [0.4] * 3}, {"a", "b"}, {"c"}, id="equal means"),
        pytest.param({"a": [0.1] * 3, "b": [0.1] * 3, "c": [0.1] * 3}, set(), set(), id="all equal"),
        pytest.param(
            {"a": [0.9, 0.9, State.USER_ERROR], "b": [0.5] * 3, "c": [0.4] * 3}, {"b"}, {"c"}, id="failed seed"
        ),
        pytest.param({"a": [0.9, 0.9, math.nan], "b": [0.5] * 3, "c": [0.4] * 3}, {"b"}, {"c"}, id="nan seed"),
        pytest.param({"a": [0.9, None, None], "b": [0.5] * 3, "c": [0.4] * 3}, {"b"}, {"c"}, id="single seed"),
        pytest.param({"b": [0.5] * 3, "c": [0.4] * 3}, {"b"}, {"c"}, id="row never run"),
        pytest.param({}, set(), set(), id="only the baseline"),
    ],
)
def test_best_and_second(sweep_of, outcomes_of, values, best, second):
    found = ranks(build_table(results_of(sweep_of(ROWS), outcomes_of({"base": BASE, **values}))))
    assert {label for label, rank in found.items() if rank is Mark.BEST} == best
    assert {label for label, rank in found.items() if rank is Mark.SECOND} == second


def test_lower_is_better_when_the_goal_says_so(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, metric="val/error", goal="minimize", columns=("val/error",))
    values = {"base": [0.9] * 3, "a": [0.3] * 3, "b": [0.5] * 3, "c": [0.4] * 3}
    found = ranks(build_table(results_of(sweep, outcomes_of(values, metric="val/error"))))
    assert found == {"base": Mark.NONE, "a": Mark.BEST, "b": Mark.NONE, "c": Mark.SECOND}


def test_a_single_seed_is_never_called_best(sweep_of, outcomes_of):
    table = build_table(
        results_of(sweep_of(ROWS, seeds=(0,)), outcomes_of({label: [0.1] for label in ROWS} | {"a": [0.9]}))
    )
    assert set(ranks(table).values()) == {Mark.NONE}
    assert "One seed per row: nothing is called best." in [note.text for note in table.notes]
    assert "Single seed (n = 1): no spread, and no test is possible." in table.caption
    assert all(cell_text.std == "" for row in table.rows for cell_text in row.cell_texts)


@pytest.mark.parametrize(
    ("seeds", "claim"),
    [((4, 5), "over 2 seeds; with n < 3 no test is possible."), ((4, 5, 6), "deviation over 3 seeds.")],
)
def test_the_caption_says_how_many_seeds_and_under_which_protocol(sweep_of, seeds, claim):
    caption = build_table(results_of(sweep_of(ROWS, seeds=seeds), {})).caption
    assert caption.endswith(claim)
    assert "crop 96x128, batch 8, 300 steps." in caption


def test_the_baseline_comes_first_then_the_order_of_the_file(sweep_of):
    table = build_table(results_of(sweep_of(ROWS, baseline="b"), {}))
    assert [row.label for row in table.rows] == ["b", "base", "a", "c"]
    assert [row.baseline for row in table.rows] == [True, False, False, False]


def test_differences_are_in_ranked_columns_and_not_on_the_baseline(sweep_of, outcomes_of):
    sweep = sweep_of({"base": {}, "a": {"x": 1}}, columns=(MIOU, "cost/train_minutes"))
    outcomes = outcomes_of(
        {
            "base": [{MIOU: 0.40, "cost/train_minutes": 1.0}] * 3,
            "a": [{MIOU: 0.412, "cost/train_minutes": 2.0}] * 3,
        }
    )
    base, ours = build_table(results_of(sweep, outcomes)).rows
    assert [cell_text.delta for cell_text in base.cell_texts] == ["", ""]
    assert [cell_text.delta for cell_text in ours.cell_texts] == ["+1.20", ""]
    assert [cell_text.rank for cell_text in base.cell_texts] == [Mark.SECOND, Mark.NONE]


def test_without_baseline_there_are_no_differences(sweep_of, outcomes_of):
    table = build_table(results_of(sweep_of(ROWS, baseline=None), outcomes_of(dict.fromkeys(ROWS, BASE))))
    assert not any(cell_text.delta for row in table.rows for cell_text in row.cell_texts)
    assert Mark.DELTA not in {note.mark for note in table.notes}


def test_a_baseline_that_is_not_a_row_is_an_error(sweep_of):
    with pytest.raises(StoreError, match="baseline 'other' is not one of its rows"):
        build_table(results_of(sweep_of(ROWS, baseline="other"), {}))


def headers(line):
    return tuple(header.text for header in line.row_headers)


def test_a_grid_has_one_column_per_factor(sweep_of):
    rows = {
        "w/o contrast": {"contrast.source": "none"},
        "t=0.05": {"contrast.temperature": 0.05, "contrast.memory.pixels_per_class": 100, "contrast.weight": 1.0},
        "t=0.1": {"contrast.temperature": 0.1, "contrast.memory.pixels_per_class": 200, "contrast.weight": 1.0},
    }
    table = build_table(results_of(sweep_of(rows, method="grid"), {}))
    assert table.layout.row_header_names == ("Temperature", "Pixels per class")  # the weight is the same everywhere
    assert [headers(line) for line in table.layout.lines] == [("w/o contrast", ""), ("0.05", "100"), ("0.1", "200")]


def test_a_grid_point_as_baseline_shows_its_factors(sweep_of):
    rows = {"t=0.05": {"contrast.temperature": 0.05}, "t=0.1": {"contrast.temperature": 0.1}}
    table = build_table(results_of(sweep_of(rows, method="grid", baseline="t=0.1"), {}))
    assert [headers(line) for line in table.layout.lines] == [("0.1",), ("0.05",)]


def test_labels_are_kept_where_rows_have_the_same_factors(sweep_of):
    table = build_table(results_of(sweep_of({"one": {"x": 1}, "again": {"x": 1}}, method="grid", baseline=None), {}))
    assert table.layout.row_header_names == ("Variant", "X")
    assert [headers(line) for line in table.layout.lines] == [("one", "1"), ("again", "1")]


def test_an_ablation_has_a_label_column(sweep_of):
    assert build_table(results_of(sweep_of(ROWS), {})).layout.row_header_names == ("Variant",)


def test_short_names_grow_until_they_differ():
    keys = ["contrast.memory.kind", "contrast.mining.kind", "contrast.temperature", "seed"]
    assert short_names(keys) == ("memory.kind", "mining.kind", "temperature", "seed")
    assert short_names(["a.kind", "b.a.kind"]) == ("a.kind", "b.a.kind")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (None, "none"),
        (1e-05, "1e-05"),
        (0.1, "0.1"),
        ([96, 128], "[96, 128]"),
        ("x", "x"),
    ],
)
def test_factor_texts(value, text):
    assert factor_text(value) == text


def test_complete_means_every_run_has_the_metric(sweep_of, outcomes_of):
    sweep = sweep_of({"base": {}, "a": {"x": 1}}, shared={"a": "base"})
    whole = build_table(results_of(sweep, outcomes_of({"base": BASE})))
    assert (whole.complete, whole.runs_done, whole.runs_planned) == (True, 3, 3)
    for value in (None, State.LOST, math.nan, {"other": 1.0}):
        assert not build_table(results_of(sweep, outcomes_of({"base": [0.1, value, 0.1]}))).complete
    stopped = build_table(results_of(sweep, outcomes_of({"base": [0.1, State.STOPPED, 0.1]})))
    assert (stopped.complete, stopped.runs_done) == (True, 2), "a scheduler stops trials of a search that is whole"


def test_published_rows_follow_our_columns_and_precision(sweep_of):
    published = Published(
        title="T",
        setting="S",
        source="README",
        checked="read",
        protocol=ProtocolRecord(),
        rows=(PublishedRow(label="theirs", values={MIOU: 80.2}),),
    )
    table = build_table(results_of(sweep_of(ROWS, columns=("final/pixel_accuracy", MIOU)), {}), published)
    theirs = [line for line in table.layout.lines if not line.ours]
    assert theirs[0].heading == "Published, not ours: T"
    assert headers(theirs[1]) == ("theirs",)
    assert [slot.text for slot in theirs[1].slots] == ["", "80.20"]
    assert table.notes[-1].text.startswith("Published rows: T: S. Source: README (read). Not our training (Synthetic")


def test_the_caption_of_the_file_overrides_the_question(sweep_of):
    sweep = sweep_of(ROWS, table=TableRecord(caption="Memories  compared", label="tab:mine"))
    table = build_table(results_of(sweep, {}))
    assert table.caption.startswith("Memories compared. Synthetic")
    assert table.label == "tab:mine"


def seconds(sweep_of, outcomes_of, name, minutes, **table):
    columns = ("final/miou", "cost/train_minutes")
    sweep = sweep_of({"a": {}, "b": {"x": 1}}, name=name, table=TableRecord(columns=columns, **table))
    values = {
        row: [{"final/miou": 0.4, "cost/train_minutes": minutes + 0.01 * seed} for seed in range(3)] for row in "ab"
    }
    return build_table(results_of(sweep, outcomes_of(values)))


def test_a_column_of_times_has_one_unit_unless_the_table_sets_its_precision(sweep_of, outcomes_of):
    quick = seconds(sweep_of, outcomes_of, "quick", 0.38)
    assert quick.layout.headers[1].text == "Train (s)"
    assert [row.cell_texts[1].mean for row in quick.rows] == ["23", "23"]
    assert quick.rows[0].cell_texts[1].cell.mean == pytest.approx(0.39), "in the unit of the records"
    fixed = seconds(sweep_of, outcomes_of, "quick", 0.38, precision={"cost/train_minutes": 3})
    assert fixed.layout.headers[1].text == "Train (min)"
    assert fixed.rows[0].cell_texts[1].mean == "0.390"


def test_sweeps_with_times_in_different_units_have_two_columns_in_one_table(sweep_of, outcomes_of):
    tables = [seconds(sweep_of, outcomes_of, name, minutes) for name, minutes in (("quick", 0.38), ("slow", 12.0))]
    combined = combine_tables(tables)
    assert [header.text for header in combined.layout.headers] == ["mIoU (%)", "Train (s)", "Train (min)"]
    of_rows = [[slot.cell_text and slot.cell_text.mean for slot in line.slots] for line in combined.layout.lines]
    assert of_rows[1] == ["40.00", "23", None]
    assert of_rows[4] == ["40.00", None, "12.0"]
