"""The figures that suit a sweep, from its records to the files."""

import json
from dataclasses import replace

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import State
from orchestrator.store.run_directory import RunDirectory
from reports.figures.choose import choose, drawings_of
from reports.figures.differences import bars_of_differences, bars_of_means, class_differences
from reports.figures.figure_data import FigureData, gaps_of, interval_note
from reports.figures.grids import factors_of, heatmap_of, line_over
from reports.figures.kept import write_drawings
from reports.figures.learning_curves import read_curves
from tests.reports.conftest import results_of

MIOU = "final/miou"
TEMPERATURES = (0.05, 0.07, 0.1, 0.2)


def row_values(count, start=0.4):
    return [[start + 0.01 * row + 0.002 * ((7 * row + 3 * seed) % 5) for seed in range(3)] for row in range(count)]


@pytest.fixture
def temperature(sweep_of, outcomes_of):
    """A grid over one factor with a baseline that has none."""
    rows = {"baseline": {"contrast.source": "none"}}
    rows |= {f"temperature={value}": {"contrast.temperature": value} for value in reversed(TEMPERATURES)}
    sweep = sweep_of(rows, method="grid", baseline="baseline")
    return sweep, outcomes_of(dict(zip(rows, row_values(5), strict=True)))


@pytest.fixture
def two_factors(sweep_of, outcomes_of):
    rows = {
        f"{memory} {temperature}": {"contrast.memory.kind": memory, "contrast.temperature": temperature}
        for memory in ("pixel", "region")
        for temperature in TEMPERATURES
    }
    outcomes = outcomes_of(dict(zip(rows, row_values(8), strict=True)))
    return sweep_of(rows, method="grid", baseline=None), outcomes


def test_an_ablation_has_bars_and_differences(example, tmp_path):
    paths = write_drawings(drawings_of(example, RunDirectory(tmp_path / "runs"), dark=True), tmp_path / "figures")
    assert list(paths) == ["means", "means-dark", "differences", "differences-dark"]
    assert all(path.stat().st_size > 1000 for by_kind in paths.values() for path in by_kind.values())
    assert paths["means"]["pdf"] == tmp_path / "figures" / "means.pdf"
    assert list(paths["means-dark"]) == ["svg"], "for pages; papers are light"
    assert paths["means"]["svg"].read_bytes() != paths["means-dark"]["svg"].read_bytes()


def test_differences_are_paired_and_in_per_cent(example):
    figure_data = FigureData.of(example)
    rows = {row.label: row for row in bars_of_differences(figure_data, "w/o contrast").rows}
    assert rows["pixel memory"].estimate.values == pytest.approx((2.94, 2.18, 1.64))
    assert rows["weight 0"].estimate.interval == (0.0, 0.0)
    assert rows["region memory"].estimate.interval is None
    assert rows["all | of_it*"].note == "1 lost, 2 not run"


def test_one_numeric_factor_is_a_line(temperature, tmp_path):
    sweep, outcomes = temperature
    assert list(choose(results_of(sweep, outcomes), RunDirectory(tmp_path))) == ["factor", "differences"]
    line = line_over(FigureData.of(results_of(sweep, outcomes)), sweep.rows[1:], "contrast.temperature")
    assert line.at == TEMPERATURES
    assert line.estimates[0].mean == pytest.approx(100 * sum(row_values(5)[4]) / 3)
    assert line.reference[0] == "baseline"
    assert line.x_name == "Temperature"


def test_two_factors_are_a_heat_map(two_factors, tmp_path):
    sweep, outcomes = two_factors
    assert list(choose(results_of(sweep, outcomes), RunDirectory(tmp_path))) == ["interaction"]
    figure_data = FigureData.of(results_of(sweep, outcomes))
    heatmap = heatmap_of(figure_data, sweep.rows, factors_of(sweep.rows))
    assert (heatmap.y_levels, heatmap.x_levels) == (("pixel", "region"), ("0.05", "0.07", "0.1", "0.2"))
    assert heatmap.mean_YX[1, 2] == pytest.approx(100 * figure_data.cells["region 0.1"].mean)
    assert heatmap.std_YX[1, 2] == pytest.approx(100 * figure_data.cells["region 0.1"].std)
    assert heatmap.note.startswith("Interaction: ")
    assert "p = " in heatmap.note


def test_a_heat_map_with_a_row_never_run_has_a_gap(two_factors):
    sweep, outcomes = two_factors
    kept = {key: outcome for key, outcome in outcomes.items() if not key.startswith("region 0.1#")}
    heatmap = heatmap_of(FigureData.of(results_of(sweep, kept)), sweep.rows, factors_of(sweep.rows))
    assert str(heatmap.mean_YX[1, 2]) == str(heatmap.std_YX[1, 2]) == "nan"
    assert heatmap.note == "Interaction: needs a seed with every cell"


def test_other_grids_are_bars(sweep_of, outcomes_of, tmp_path):
    words = {kind: {"contrast.memory.kind": kind} for kind in ("none", "pixel", "region")}
    outcomes = outcomes_of(dict(zip(words, row_values(3), strict=True)))
    assert list(
        choose(results_of(sweep_of(words, method="grid", baseline=None), outcomes), RunDirectory(tmp_path))
    ) == ["means"]


def test_a_search_has_a_front_and_the_importance_it_is_given(sweep_of, outcomes_of, tmp_path):
    rows = {f"trial {number}": {"contrast.weight": number / 10} for number in range(6)}
    values = {label: [{MIOU: 0.4 + 0.01 * i, "cost/train_minutes": 6.0 - i}] for i, label in enumerate(rows)}
    sweep = sweep_of(rows, method="tpe", baseline=None, seeds=(0,))
    outcomes = outcomes_of(values)
    assert list(choose(results_of(sweep, outcomes), RunDirectory(tmp_path))) == ["pareto"], (
        "its plan names no parameters"
    )
    assert list(choose(results_of(sweep, outcomes), RunDirectory(tmp_path), importance={"contrast.weight": 1.0})) == [
        "pareto",
        "importance",
    ]


def test_long_titles_of_rows_are_their_values_and_a_note_names_the_keys(sweep_of, outcomes_of):
    """Seen: five lines of a legend that were all `memory kind pixel, pixels per class…`."""
    rows = {"baseline": {}}
    for size in (50, 500):
        for temperature in (0.05, 0.1):
            label = f"kind=pixel, pixels_per_class={size}, temperature={temperature}"
            factors = {"memory.kind": "pixel", "memory.pixels_per_class": size, "contrast.temperature": temperature}
            rows[label] = factors
    sweep = sweep_of(rows, method="grid", baseline="baseline")
    data = FigureData.of(results_of(sweep, outcomes_of(dict(zip(rows, row_values(5), strict=True)))))
    found = bars_of_means(data)
    assert [row.label for row in found.rows] == [
        "baseline",
        *(f"pixel, {n}, {t}" for n in (50, 500) for t in (0.05, 0.1)),
    ]
    assert found.note.startswith("Rows: memory kind, pixels per class, temperature; ")
    assert bars_of_differences(data, "baseline").name.endswith("to “baseline”")


def test_short_titles_of_rows_keep_their_words(temperature):
    sweep, outcomes = temperature
    data = FigureData.of(results_of(sweep, outcomes))
    assert (data.row_note, data.titles["temperature=0.1"]) == ("", "temperature 0.1")


def test_classes_compare_the_best_row_with_the_baseline(sweep_of, outcomes_of, tmp_path):
    rows = {"base": {}, "worse": {"a": 1}, "better": {"a": 2}}

    def metrics(miou, car):
        return {MIOU: miou, "final/iou/car": car, "final/iou/sky": 0.9, "final/iou/pole": 0.0}

    values = {
        "base": [metrics(0.40, 0.50), metrics(0.41, 0.52)],
        "worse": [metrics(0.30, 0.10), metrics(0.31, 0.10)],
        "better": [metrics(0.50, 0.60), State.LOST],
    }
    sweep, outcomes = sweep_of(rows), outcomes_of(values)
    found = class_differences(FigureData.of(results_of(sweep, outcomes)))
    assert found.name == "Δ IoU (%): “better” to “base”"
    assert {item.label: item.estimate.mean for item in found.rows} == pytest.approx({"car": 10.0, "sky": 0.0}), (
        "no pole is ever right"
    )
    assert "classes" in choose(results_of(sweep, outcomes), RunDirectory(tmp_path))


def test_curves_come_from_the_points(sweep_of, outcomes_of, tmp_path):
    sweep = sweep_of({"a": {}, "b": {}}, seeds=(0, 1))
    points = {
        "a#0": [(10, 0.1), (20, 0.2), (20, 0.3)],  # step 20 again, after a resume
        "a#1": [(10, 0.2)],
    }
    for trial, entries in points.items():
        folder = RunDirectory(tmp_path).trial_folder(trial)
        folder.mkdir(parents=True)
        lines = [json.dumps({"step": step, "metrics": {"val/miou": value}}) for step, value in entries]
        (folder / "points.jsonl").write_text("\n".join([*lines, '{"step": 30, "met']))
    (curve,) = read_curves(RunDirectory(tmp_path), sweep, ["a", "b"], {"val/miou": 100.0})["val/miou"]
    assert curve.step_T.tolist() == [10, 20]
    assert curve.value_ST[:, 0].tolist() == pytest.approx([10, 20])
    assert curve.value_ST[0, 1] == pytest.approx(30)
    assert str(curve.value_ST[1, 1]) == "nan"
    assert list(choose(results_of(sweep, {}), RunDirectory(tmp_path))) == ["curves"]
    for trial in points:
        curve = RunDirectory(tmp_path).trial_folder(trial) / "points.jsonl"
        curve.write_text('{"step": 20, "metrics": {"val/miou": 0.3}}\n')
    assert list(choose(results_of(sweep, {}), RunDirectory(tmp_path))) == [], "one evaluation is no curve"


def test_many_rows_leave_the_best_curves(sweep_of, outcomes_of, tmp_path):
    rows = {f"row {number}": {"a": number} for number in range(12)}
    sweep = sweep_of(rows)
    for cell in sweep.cells:
        folder = RunDirectory(tmp_path).trial_folder(cell.trial_id)
        folder.mkdir(parents=True)
        lines = [f'{{"step": {step}, "metrics": {{"train/loss": 1.0}}}}\n' for step in (1, 2)]
        (folder / "points.jsonl").write_text("".join(lines))
    outcomes = outcomes_of(dict(zip(rows, row_values(12), strict=True)))
    data = choose(results_of(sweep, outcomes), RunDirectory(tmp_path))["loss"]
    assert [curve.label for curve in data.curves] == ["row 0", *(f"row {number}" for number in range(11, 4, -1))]
    assert data.note == "Band: ± sample standard deviation; the 7 best of 12 rows and the baseline"


def test_many_rows_leave_the_best_bars(sweep_of, outcomes_of):
    rows = {f"row {number}": {"a": number} for number in range(300)}
    figure_data = FigureData.of(results_of(sweep_of(rows), outcomes_of(dict(zip(rows, row_values(300), strict=True)))))
    means, differences = bars_of_means(figure_data), bars_of_differences(figure_data, "row 0")
    assert [row.label for row in means.rows] == ["row 0", *(f"row {number}" for number in range(299, 260, -1))]
    assert len(differences.rows) == 39
    assert means.note.endswith("; the 39 best of 300 rows and the baseline")


def test_nothing_measured_is_no_figure(sweep_of, outcomes_of, tmp_path):
    sweep = sweep_of({"a": {}, "b": {}})
    assert choose(results_of(sweep, {}), RunDirectory(tmp_path)) == {}
    assert drawings_of(results_of(sweep, outcomes_of({"a": [State.LOST]})), RunDirectory(tmp_path)) == []


def test_gaps_are_named(example):
    cells = FigureData.of(example).cells
    assert gaps_of(cells["pixel memory"]) == ""
    assert gaps_of(cells["region memory"]) == "1 failed"


def test_a_folder_that_cannot_be_written_is_one_line(example, tmp_path):
    (tmp_path / "figures").write_text("a file")
    with pytest.raises(StoreError, match=r"figures/means: cannot be written"):
        write_drawings(drawings_of(example, RunDirectory(tmp_path)), tmp_path / "figures")


def test_intervals_of_seeds_added_until_decided_are_called_uncorrected(sweep_of, outcomes_of):
    values = {"a": [0.1, 0.2, 0.3], "b": [0.2, 0.3, 0.5]}
    sweep = sweep_of({"a": {}, "b": {}}, seeds=(0, 1, 2))
    outcomes = outcomes_of(values)
    plain, growing = (FigureData.of(results_of(item, outcomes)) for item in (sweep, replace(sweep, looks=(3, 10))))
    assert interval_note(plain) == "95% interval of the mean; dots: seeds"
    assert "not corrected for seeds added until decided" in interval_note(growing)
