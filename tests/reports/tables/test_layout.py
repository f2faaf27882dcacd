"""The layout of rows and columns: lists, merged groups, matrices, check marks, intervals and published columns."""

import pytest

from orchestrator.store.sweep_record import TableRecord
from orchestrator.workload.protocol_record import ProtocolRecord
from reports.sources.published import Published, PublishedRow, read_published
from reports.tables.table import MOST_ROWS, build_table
from tests.reports.conftest import results_of

MIOU = "final/miou"


def row_headers(table):
    return [
        tuple((row_header.text, row_header.lines) for row_header in line.row_headers) for line in table.layout.lines
    ]


def grid(*levels):
    keys = ("model.backbone", "contrast.temperature", "contrast.weight")
    rows = {}
    for place, values in enumerate(levels):
        del place
        rows[str(values)] = dict(zip(keys, values, strict=False))
    return rows


def two_factors(first="contrast.temperature", second="contrast.memory.pixels_per_class"):
    return {f"{a}/{b}": {first: a, second: b} for a in (0.05, 0.1, 0.3) for b in (50, 500)}


def test_leaving_one_out_has_check_marks(sweep_of):
    rows = {
        "full": {"contrast.source": "inter_image", "loss.kind": "ohem", "loss.ohem_share": 0.3},
        "w/o contrast": {"loss.kind": "ohem", "loss.ohem_share": 0.3},
        "w/o OHEM": {"contrast.source": "inter_image"},
    }
    layout = build_table(results_of(sweep_of(rows), {})).layout
    assert layout.row_header_names == ("Variant", "contrast", "OHEM")
    assert [tuple(row_header.text for row_header in line.row_headers) for line in layout.lines] == [
        ("full", "✓", "✓"),
        ("w/o contrast", "", "✓"),
        ("w/o OHEM", "✓", ""),
    ]
    assert layout.checks


@pytest.mark.parametrize(
    "rows",
    [
        {"a": {"x": 1}, "b": {"x": 2}},
        {"a": {}, "b": {"x": 2}},
        {"a": {}, "b": {"x": 1, "y": 1}},
    ],
)
def test_rows_that_are_not_components_have_labels_only(sweep_of, rows):
    assert build_table(results_of(sweep_of(rows), {})).layout.row_header_names == ("Variant",)


def test_two_numeric_factors_are_a_matrix_with_the_baseline_above(sweep_of, outcomes_of):
    rows = {"w/o": {"contrast.source": "none"}} | two_factors()
    values = {label: [0.1 + 0.01 * n] * 3 for n, label in enumerate(rows)}
    table = build_table(results_of(sweep_of(rows, method="grid", columns=(MIOU, "cost/step_ms")), outcomes_of(values)))
    layout = table.layout
    assert [(header.text, header.span) for header in layout.spanners] == [("mIoU (%)", 2)]
    assert [header.text for header in layout.headers] == ["50", "500"]
    assert [line.row_headers[0].text for line in layout.lines] == ["w/o", "0.05", "0.1", "0.3"]
    assert [slot.span for slot in layout.lines[0].slots] == [2]
    assert [slot.label for line in layout.lines[1:] for slot in line.slots] == list(two_factors())
    assert layout.left_out == ("Step (ms)",)
    assert "Not shown in the matrix: Step (ms)" in " ".join(note.text for note in table.notes)


def test_a_gap_in_a_matrix_is_empty_and_a_sparse_grid_is_a_list(sweep_of):
    rows = two_factors()
    del rows["0.3/500"]
    layout = build_table(results_of(sweep_of(rows, method="grid", baseline=None), {})).layout
    assert layout.lines[-1].slots[-1].cell_text is None
    for label in ("0.1/50", "0.05/500"):
        del rows[label]
    assert not build_table(results_of(sweep_of(rows, method="grid", baseline=None), {})).layout.spanners


def test_the_factor_named_runs_down(sweep_of):
    table = TableRecord(columns=(MIOU,), group=("contrast.memory.pixels_per_class",))
    layout = build_table(results_of(sweep_of(two_factors(), method="grid", baseline=None, table=table), {})).layout
    assert [line.row_headers[0].text for line in layout.lines] == ["50", "500"]


def test_architectures_are_groups(sweep_of):
    rows = grid(("r18", 0.1), ("r18", 0.2), ("r50", 0.1), ("r50", 0.2))
    table = build_table(results_of(sweep_of(rows, method="grid", baseline=None), {}))
    assert table.layout.row_header_names == ("Backbone", "Temperature")
    assert row_headers(table) == [
        (("r18", 2), ("0.1", 1)),
        (("r18", 0), ("0.2", 1)),
        (("r50", 2), ("0.1", 1)),
        (("r50", 0), ("0.2", 1)),
    ]
    assert [line.ruled for line in table.layout.lines] == [False, False, True, False]


def test_a_list_is_not_merged(sweep_of):
    rows = grid(("r18", 0.1), ("r18", 0.2))
    table = TableRecord(columns=(MIOU,), layout="list")
    rows["r50"] = {"model.backbone": "r50", "contrast.temperature": 0.1}
    found = build_table(results_of(sweep_of(rows, method="grid", baseline=None, table=table), {}))
    assert {row_header.lines for line in found.layout.lines for row_header in line.row_headers} == {1}


def test_a_table_that_names_no_columns_shows_the_metric_of_the_sweep(sweep_of):
    table = build_table(results_of(sweep_of({"base": {"x": 0}, "a": {"x": 1}}, table=TableRecord()), {}))
    assert [column.key for column in table.columns] == [MIOU]


def test_rows_asked_for_in_their_order(sweep_of):
    rows = {"base": {"x": 0}, "a": {"x": 1}, "b": {"x": 2}}
    table = build_table(results_of(sweep_of(rows, table=TableRecord(columns=(MIOU,), rows=("b", "base"))), {}))
    assert [row.label for row in table.rows] == ["b", "base"]
    assert "Shown are 2 of 3 rows" in table.notes[-1].text
    assert list(table.cells) == ["base", "a", "b"]


@pytest.mark.parametrize(("goal", "labels"), [("maximize", ["base", "d", "c"]), ("minimize", ["base", "a", "b"])])
def test_the_best_rows_of_a_search(sweep_of, outcomes_of, goal, labels):
    rows = {"base": {"x": 0}, "a": {"x": 1}, "b": {"x": 2}, "c": {"x": 3}, "d": {"x": 4}, "never": {"x": 5}}
    values = {"base": [0.5], "a": [0.1], "b": [0.2], "c": [0.3], "d": [0.4]}
    sweep = sweep_of(rows, seeds=(0,), method="tpe", goal=goal, table=TableRecord(columns=(MIOU,), top=2))
    table = build_table(results_of(sweep, outcomes_of(values, seeds=(0,))), None, {"x": 0.75, "y": 0.25})
    assert [row.label for row in table.rows] == labels
    assert any(note.text.endswith("(fANOVA): x 75%, y 25%.") for note in table.notes)


def test_a_search_has_the_numbers_by_which_figures_and_notes_call_its_trials(sweep_of, outcomes_of):
    rows = {"baseline": {}, "trial 0": {"a.kind": "x", "b.n": 1}, "trial 11": {"a.kind": "y", "b.n": 2}}
    values = {"baseline": [0.5], "trial 0": [0.1], "trial 11": [0.2]}
    sweep = sweep_of(rows, seeds=(0,), method="tpe", baseline="baseline", table=TableRecord(columns=(MIOU,)))
    layout = build_table(results_of(sweep, outcomes_of(values, seeds=(0,)))).layout
    assert layout.row_header_names == ("Trial", "A kind", "N")
    texts = [tuple(header.text for header in line.row_headers) for line in layout.lines]
    assert texts == [("baseline", "", ""), ("11", "y", "2"), ("0", "x", "1")]


def test_very_many_rows_are_cut_to_the_best(sweep_of, outcomes_of):
    rows = {f"r{n}": {"x": n} for n in range(MOST_ROWS + 20)}
    values = {label: [0.001 * n] * 3 for n, label in enumerate(rows)}
    table = build_table(results_of(sweep_of(rows), outcomes_of(values)))
    assert [row.label for row in table.rows[:2]] == ["r0", f"r{MOST_ROWS + 19}"]
    assert len(table.rows) == MOST_ROWS + 1
    assert len(table.cells) == MOST_ROWS + 20


def test_intervals_have_their_own_columns(sweep_of, outcomes_of):
    sweep = sweep_of({"base": {}, "a": {"x": 1}}, table=TableRecord(columns=(MIOU, "cost/step_ms"), intervals=True))
    table = build_table(results_of(sweep, outcomes_of({"base": [0.1, 0.2, 0.3], "a": [0.2, 0.31, 0.42]})))
    assert [header.text for header in table.layout.headers] == [
        "mIoU (%)",
        "95% interval of Δ",
        "p",
        "Step (ms)",
    ]
    base, ours = ([slot.text for slot in line.slots] for line in table.layout.lines)
    assert base == ["", "", "", ""]
    assert ours[1] == "[+8.52, +13.48]"
    assert ours[2] == "0.003"


def test_published_figures_are_beside_the_rows_they_match(sweep_of):
    rows = {"baseline": {"contrast.source": "none"}} | {f"t={t}": {"contrast.temperature": t} for t in (0.05, 0.1, 9.9)}
    sweep = sweep_of(rows, method="grid", columns=(MIOU, "cost/step_ms"))
    table = build_table(results_of(sweep, {}), read_published("contrastiveseg_temperature"))
    assert [header.text for header in table.layout.headers] == ["mIoU (%)", "mIoU, published", "Step (ms)"]
    ours = [line for line in table.layout.lines if line.ours]
    assert [line.slots[1].text for line in ours] == ["", "79.80", "80.18", ""]
    theirs = [line.row_headers[0].text for line in table.layout.lines if line.row_headers and not line.ours]
    assert theirs == [f"temperature {t}" for t in ("0.07", "0.20", "0.30", "0.40")]
    assert "Cityscapes val" in " ".join(note.text for note in table.notes)


def test_a_published_row_is_shown_beside_one_row_only(sweep_of):
    rows = {"a": {"x": 1}, "b": {"x": 1, "y": 2}}
    source = Published(
        title="T",
        setting="S",
        source="R",
        checked="read",
        protocol=ProtocolRecord(),
        rows=(
            PublishedRow(label="p", values={MIOU: 1.5}, beside={"x": 1}),
            PublishedRow(label="q", values={MIOU: 2.5}, beside={"x": 1}),
        ),
    )
    table = build_table(results_of(sweep_of(rows, baseline=None), {}), source)
    assert [line.slots[1].text for line in table.layout.lines] == ["1.50", "2.50"]


def test_split_precision_and_direction(sweep_of, outcomes_of):
    record = TableRecord(columns=(MIOU, "my/error"), split="val", precision={MIOU: 0}, direction={"my/error": "down"})
    sweep = sweep_of({"base": {}, "a": {"x": 1}}, table=record)
    values = {"val/miou": 0.416, "final/miou": 0.9, "my/error": 0.5}
    table = build_table(results_of(sweep, outcomes_of({"base": [values] * 3, "a": [values | {"my/error": 0.25}] * 3})))
    assert [header.label for header in table.layout.headers] == ["Val mIoU (%) ↑", "my/error ↓"]
    assert [cell_text.mean for cell_text in table.rows[1].cell_texts] == ["42", "0.2500"]
    assert table.rows[1].cell_texts[1].rank == "best"
    assert any("validation split" in note.text for note in table.notes)
