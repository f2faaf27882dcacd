"""Rows x data sets: each group of columns is the table that the data set would have alone."""

import math
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_record import TableRecord
from orchestrator.workload.protocol_record import ProtocolRecord
from reports.sources.published import Published, PublishedRow
from reports.stats.comparisons import compare_with
from reports.stats.pairs import WhyNot
from reports.tables.across_data import mean_cells
from reports.tables.aggregate import aggregate
from reports.tables.cell_text import Mark
from reports.tables.class_table import build_class_tables
from reports.tables.data_set_table import build_data_set_table
from reports.tables.table import build_table
from reports.write import make_table

MIOU = "final/miou"


def across(results, kind, **changes):
    table = replace(results.sweep.table, across_data=kind, **changes)
    return build_data_set_table(replace(results, sweep=replace(results.sweep, table=table)))


def many(data_results_of, gains, *, seeds=(0, 1, 2)):
    """A baseline and a row whose mean difference on each data set is one of `gains`."""
    generator = np.random.default_rng(3)
    base, row = {}, {}
    for place, gain in enumerate(gains):
        values = 0.3 + 0.05 * place + 0.01 * generator.normal(size=len(seeds))
        base[f"set {place}"] = values.tolist()
        row[f"set {place}"] = (values + gain + 0.001 * generator.normal(size=len(seeds))).tolist()
    return data_results_of({"base": base, "row": row}, data_sets=tuple(base), seeds=seeds)


def test_each_group_is_the_table_of_its_data_set(two_data_sets):
    table = make_table(two_data_sets, {})
    start = 0
    for name, part in two_data_sets.by_data_set.items():
        alone = build_table(part)
        width = len(alone.columns)
        assert [column.name for column in table.columns[start : start + width]] == [
            f"{name} {column.name}" for column in alone.columns
        ]
        for row, own in zip(table.rows, alone.rows, strict=True):
            assert row.cell_texts[start : start + width] == own.cell_texts
            for ours, theirs in zip(row.cell_texts[start : start + width], own.cell_texts, strict=True):
                assert ours.comparison == theirs.comparison  # p, Holm's family and interval within the data set
        for label, cells in alone.cells.items():
            assert table.cells[label][start : start + width] == cells
        start += width
    assert start == len(table.columns)
    assert [(header.text, header.span) for header in table.layout.spanners] == [("CamVid", 2), ("own data", 2)]
    assert not any(text.comparison.family > 1 for row in table.rows for text in row.cell_texts if text.comparison)


def test_a_row_that_is_missing_on_one_data_set_is_named_there(two_data_sets):
    table = make_table(two_data_sets, {})
    assert (table.runs_done, table.runs_planned, table.complete) == (14, 18, False)
    row = next(row for row in table.rows if row.label == "region memory")
    assert [text.missing for text in row.cell_texts] == ["", "", "not run", "not run"]
    assert {run.rows for run in table.missing_runs} == {("region memory on CamVid",), ("region memory on own data",)}
    texts = [note.text for note in table.notes]
    assert "(CamVid) fewer seeds than planned, not ranked: region memory 2 of 3." in texts
    assert "(own data) Not run: region memory, seeds 0, 1, 2." in texts
    assert any("compared by itself" in text for text in texts)


def test_results_on_several_data_sets_are_not_mixed_by_mistake(two_data_sets):
    with pytest.raises(ValueError, match="each data set by itself"):
        aggregate(two_data_sets, MIOU)


def test_a_single_data_set_is_shown_as_before(data_results_of):
    results = data_results_of(
        {"base": {"CamVid": [0.1, 0.2, 0.3]}, "a": {"CamVid": [0.2, 0.3, 0.5]}}, data_sets=["CamVid"]
    )
    table = make_table(results, {})
    assert [column.name for column in table.columns] == ["mIoU"]
    assert table.layout.spanners == ()


def test_the_mean_is_over_the_data_sets_seed_by_seed(two_data_sets):
    table = across(two_data_sets, "mean")
    assert table.columns[-1].name == "Mean of 2 data sets mIoU"
    assert table.layout.spanners[-1].span == 1  # costs have no mean
    by_row = {row.label: row.cell_texts[-1] for row in table.rows}
    assert dict(by_row["pixel memory"].cell.values) == pytest.approx({0: 0.525, 1: 0.5192, 2: 0.52905})
    assert by_row["pixel memory"].rank is Mark.BEST
    assert all(text.comparison is None and not text.delta for text in by_row.values())
    assert by_row["region memory"].cell.n == 0
    assert by_row["region memory"].missing == "failed"
    assert set(by_row["region memory"].cell.gaps) == {0, 1, 2}
    assert "not tested" in table.notes[-1].text


def test_over_seeds_the_mean_is_tested_like_any_column(data_results_of):
    results = many(data_results_of, [0.02, 0.01, -0.002], seeds=(0, 1, 2, 3, 4))
    table = across(results, "seeds", intervals=True)
    found = table.rows[1].cell_texts[-1].comparison
    per_data = [aggregate(part, MIOU) for part in results.parts]
    values = {
        label: {seed: sum(cells[label].values[seed] for cells in per_data) / 3 for seed in per_data[0][label].values}
        for label in ("base", "row")
    }
    expected = compare_with("base", values)["row"]
    assert found.p_holm == pytest.approx(expected.p_holm)
    assert found.difference == pytest.approx(np.mean([cells["row"].mean - cells["base"].mean for cells in per_data]))
    assert table.rows[1].cell_texts[-1].interval
    assert table.layout.headers[-1].text == "p"


def test_over_data_sets_each_is_one_observation(data_results_of):
    table = across(many(data_results_of, [0.01, 0.02, 0.03, 0.01, 0.04, 0.05, 0.02]), "data_sets")
    text = table.rows[1].cell_texts[-1]
    assert text.comparison.n == 7
    assert text.comparison.p_holm == pytest.approx(2 / 2**7)
    assert text.significant
    notes = [note.text for note in table.notes if note.mark is Mark.SIGNIFICANT]
    assert any("signed-rank test over the data sets" in note for note in notes)
    undecided = across(many(data_results_of, [0.01, -0.02, 0.03, -0.01, 0.04, -0.05, 0.02]), "data_sets")
    assert Mark.ALIKE in undecided.rows[1].cell_texts[-1].marks


def test_too_few_data_sets_are_said_to_be_too_few(data_results_of):
    table = across(many(data_results_of, [0.1] * 5), "data_sets")
    comparison = table.rows[1].cell_texts[-1].comparison
    assert (comparison.p_t, comparison.untested) == (None, WhyNot.FEW_DATA_SETS)
    assert "with 5 data sets Wilcoxon's signed-rank test over the data sets (Demšar 2006) has no p below 0.0625" in (
        table.notes[-1].text
    )


def test_a_seed_counts_only_with_a_value_on_each_data_set(data_results_of):
    results = data_results_of({"base": {"CamVid": [0.1, 0.2, 0.3], "own data": [0.3, State.LOST, 0.5]}}, baseline=None)
    cell = mean_cells([aggregate(part, MIOU) for part in results.parts], results.sweep)["base"]
    assert dict(cell.values) == pytest.approx({0: 0.2, 2: 0.4})
    assert list(cell.gaps) == [1]


def test_the_best_rows_are_those_of_the_best_mean_rank(data_results_of):
    rows = {
        "base": {"CamVid": [0.1] * 3, "own data": [0.1] * 3},
        "good, then worst": {"CamVid": [0.9] * 3, "own data": [0.2] * 3},
        "good on both": {"CamVid": [0.8] * 3, "own data": [0.8] * 3},
        "not run on one": {"CamVid": [0.95] * 3, "own data": [None] * 3},
        "second on one": {"CamVid": [0.3] * 3, "own data": [0.7] * 3},
    }
    results = data_results_of(rows, table=TableRecord(columns=(MIOU,), top=2))
    table = build_data_set_table(results)
    assert [row.label for row in table.rows] == ["base", "good on both", "good, then worst"]
    assert set(table.cells) == set(rows)
    texts = [note.text for note in table.notes]
    assert "The rows shown are those with the best mean rank over the data sets." in texts


def test_published_figures_stand_in_the_group_of_their_data(two_data_sets):
    camvid, other = ProtocolRecord(data="camvid"), ProtocolRecord(data="cityscapes")
    published = Published(
        title="A paper",
        setting="CamVid",
        source="page 5",
        checked="read",
        protocol=camvid,
        rows=(
            PublishedRow(label="theirs", values={MIOU: 44.0}, beside={"contrast.source": "pixel memory"}),
            PublishedRow(label="alone", values={MIOU: 45.0}),
            PublishedRow(label="elsewhere", values={MIOU: 80.0}, protocol=other),
        ),
    )
    table = build_data_set_table(two_data_sets, published)
    texts = [header.text for header in table.layout.headers]
    assert texts == ["mIoU (%)", "mIoU, published", "Train (min)", "mIoU (%)", "Train (min)"]
    assert [header.span for header in table.layout.spanners] == [3, 2]
    assert [slot.text for slot in table.layout.lines[1].slots] == ["", "44.00", "", "", ""]
    assert [line.heading for line in table.layout.lines if line.heading] == ["Published, not ours: A paper"]
    assert [slot.text for slot in table.layout.lines[-1].slots] == ["45.00", "", "", "", ""]
    assert "Published figures of other data are not shown: cityscapes." in [note.text for note in table.notes]


def test_each_data_set_has_a_table_of_its_classes(two_data_sets):
    tables = build_class_tables(two_data_sets)
    assert list(tables) == ["classes-camvid", "classes-own-data"]
    assert tables["classes-own-data"].name == "ablation_memory: classes of own data"
    assert tables["classes-camvid"].label == "tab:ablation_memory-classes-camvid"
    gain = tables["classes-own-data"].rows[0].cell_texts[1].cell.delta
    assert math.isclose(gain, 0.0003, abs_tol=1e-9)
