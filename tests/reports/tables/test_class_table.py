"""Classes: the gains first, tested over the classes, named below."""

import pytest

from orchestrator.workload.data_record import DataRecord
from reports.render.csv import to_frame
from reports.tables.class_table import build_class_tables
from tests.reports.conftest import results_of

ROWS = {"base": {"x": 0}, "good": {"x": 1}, "middling": {"x": 2}, "worse": {"x": 3}}


def outcomes(outcomes_of, names=("car", "road", "sky")):
    shift = {"base": 0.0, "good": 0.2, "middling": 0.05, "worse": -0.1}

    def metrics(label, seed):
        noise = 0.001 * seed
        iou = {
            "car": 0.3 - shift[label] / 2 + noise * (label == "good"),
            "road": 0.8,
            "sky": 0.5 + shift[label] - noise * (label == "good"),
        }
        return {"final/miou": 0.5 + shift[label]} | {f"final/iou/{name}": iou[name] for name in names}

    return outcomes_of({label: [metrics(label, seed) for seed in (0, 1, 2)] for label in ROWS})


def test_gains_come_first_and_are_named(sweep_of, outcomes_of):
    table = build_class_tables(results_of(sweep_of(ROWS), outcomes(outcomes_of)))["classes"]
    assert [row.label for row in table.rows] == ["sky", "road", "car"]
    assert [header.text for header in table.layout.headers] == [
        "base",
        "good",
        "95% interval of Δ",
        "p",
        "middling",
    ]
    assert table.rows[0].cell_texts[1].delta == "+19.90"
    gains, sizes = table.notes[-2:]
    assert gains.text == "“good” gains in: sky; loses in: car (at 5%, corrected)."
    assert sizes.text.startswith(
        "Smallest difference of “good” to “base” that is found with 80% power: from 0.98 (car)"
    )


def test_the_tests_are_one_family_of_all_rows_with_all_classes(sweep_of, outcomes_of):
    results = results_of(sweep_of(ROWS), outcomes(outcomes_of))
    good = [row.cell_texts[1].comparison for row in build_class_tables(results)["classes"].rows]
    tested = [found for found in good if found.p_t is not None]
    assert len(tested) == 2, "the road is the same in every row"
    assert {found.family for found in tested} == {3 * 3}, "three rows and three classes, of which two rows are shown"
    assert min(found.p_holm for found in tested) == pytest.approx(9 * min(found.p_t for found in tested))


def test_without_classes_or_baseline_there_is_no_table(sweep_of, outcomes_of):
    assert build_class_tables(results_of(sweep_of(ROWS), outcomes(outcomes_of, names=()))) == {}
    assert build_class_tables(results_of(sweep_of(ROWS, baseline=None), outcomes(outcomes_of))) == {}
    assert build_class_tables(results_of(sweep_of(ROWS), {})) == {}


def test_classes_without_a_right_pixel_or_without_pixels_are_a_line(sweep_of, outcomes_of):
    values = {
        label: [
            {"final/miou": 0.5 + 0.01 * shift, "final/iou/car": 0.3 + 0.01 * shift, "final/iou/fence": 0.0} | pole
            for _ in range(3)
        ]
        for shift, (label, pole) in enumerate((("base", {"final/iou/pole": 0.0}), ("good", {"final/iou/pole": 0.0})))
    }
    data = DataRecord(title="CamVid", class_names=("car", "fence", "pole", "train", "bridge"))
    results = results_of(sweep_of({"base": {}, "good": {"x": 1}}, data=(data,)), outcomes_of(values))
    table = build_class_tables(results)["classes"]
    assert [line.label for line in table.layout.lines] == ["car"]
    assert [note.text for note in table.notes[-2:]] == [
        "Not listed, because none of their pixels is right in any run: fence, pole.",
        "Absent from the test split: train, bridge.",
    ]
    assert list(to_frame(table).row) == ["car", "fence", "pole"], "the file has all"


def test_a_table_in_which_all_is_zero_keeps_its_lines(sweep_of, outcomes_of):
    values = {label: [{"final/miou": 0.0, "final/iou/car": 0.0}] * 3 for label in ("base", "good")}
    table = build_class_tables(results_of(sweep_of({"base": {}, "good": {"x": 1}}), outcomes_of(values)))["classes"]
    assert [line.label for line in table.layout.lines] == ["car"]
    assert not [note for note in table.notes if note.text.startswith(("Not listed", "Absent"))]
