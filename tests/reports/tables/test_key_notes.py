"""The note on rows that differ in keys per anchor, from what their trials recorded."""

from __future__ import annotations

import pytest

from reports.tables.key_notes import key_notes
from reports.tables.missing_runs import ROWS_NAMED
from reports.tables.table import build_table
from tests.reports.conftest import results_of

ROWS = {"w/o contrast": {"contrast.source": "none"}, "mini-batch": {"x": 1}, "pixel": {"x": 2}}


def trial(positives: float | None, negatives: float = 2048.0) -> dict[str, float]:
    keys = {} if positives is None else {"contrast/positives": positives, "contrast/negatives": negatives}
    return {"final/miou": 0.4, **keys}


@pytest.mark.parametrize(
    ("mini_batch", "pixel", "kinds"),
    [
        ((10, 180), (1024, 2048), "positives and negatives"),
        ((600, 1000), (1024, 2048), "negatives"),
        ((0, 2048), (1024, 2048), "positives"),
        ((512, 1024), (1024, 2048), None),
    ],
)
def test_more_than_a_factor_of_2_is_named(sweep_of, outcomes_of, mini_batch, pixel, kinds):
    values = {"w/o contrast": [trial(None)] * 3, "mini-batch": [trial(*mini_batch)] * 3, "pixel": [trial(*pixel)] * 3}
    results = results_of(sweep_of(ROWS), outcomes_of(values))
    texts = [note.text for note in build_table(results).notes if "per anchor" in note.text]
    if kinds is None:
        assert texts == []
        return
    (text,) = texts
    assert text == (
        f"Rows differ by more than a factor of 2 in {kinds} per anchor, so their differences may come from that number "
        "(positives / negatives): "
        f"mini-batch: {mini_batch[0]:,} / {mini_batch[1]:,}; pixel: {pixel[0]:,} / {pixel[1]:,}."
    )


def test_rows_without_contrast_or_results_differ_in_nothing(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS)
    for values in ({}, {"pixel": [trial(1024)]}, {"w/o contrast": [trial(None)], "pixel": [trial(1024)]}):
        assert key_notes(results_of(sweep, outcomes_of(values)), list(ROWS)) == []


def test_of_many_rows_the_first_are_named(sweep_of, outcomes_of):
    rows = {f"row {number}": {"x": number} for number in range(ROWS_NAMED + 3)}
    values = {label: [trial(10.0 * 3**number)] for number, label in enumerate(rows)}
    (note,) = key_notes(results_of(sweep_of(rows), outcomes_of(values)), list(rows))
    assert note.endswith("row 7: 21,870 / 2,048; and 3 more.")


def test_what_the_plan_says_about_settings_stands_below_the_table(sweep_of, outcomes_of):
    sweep = sweep_of(ROWS, notes=("The queue never fills (pixel).",))
    table = build_table(results_of(sweep, outcomes_of({label: [0.4] * 3 for label in ROWS})))
    assert "The queue never fills (pixel)." in [note.text for note in table.notes]


def test_keys_per_anchor_can_be_columns(sweep_of, outcomes_of):
    columns = ("final/miou", "contrast/positives", "contrast/negatives")
    values = {"w/o contrast": [trial(None)] * 3, "mini-batch": [trial(10, 180)] * 3, "pixel": [trial(1024)] * 3}
    table = build_table(results_of(sweep_of(ROWS, columns=columns), outcomes_of(values)))
    assert [column.name for column in table.columns] == ["mIoU", "Positives per anchor", "Negatives per anchor"]
    assert [text.mean for text in table.rows[1].cell_texts] == ["40.00", "10.0", "180.0"]
