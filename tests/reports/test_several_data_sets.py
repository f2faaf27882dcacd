"""Rows x data sets in every format: each names the data set of a figure."""

import io
import shutil
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

import reports
from orchestrator.machine.text_table import plain
from orchestrator.store.run_directory import RunDirectory
from reports.figures.choose import choose, learning_curves
from reports.figures.differences import bars_of_means
from reports.figures.figure_data import FigureData
from reports.figures.grids import line_over
from reports.render import STYLES
from reports.render.csv import render_csv
from reports.render.html import render_html
from reports.render.latex import render_latex, render_preview
from reports.render.markdown import render_markdown
from reports.render.parquet import render_parquet
from reports.render.provenance import figure_title, gather_provenance
from reports.sources.run_directory import load_sweep
from reports.trace import trace
from reports.write import make_table, write_reports
from tests.reports.render.test_html import read
from tests.reports.render.test_latex import COMPLAINT, compile_document


@pytest.fixture
def tested(two_data_sets):
    """With a group across the data sets, and columns of intervals."""
    table = replace(two_data_sets.sweep.table, across_data="seeds", intervals=True)
    return replace(two_data_sets, sweep=replace(two_data_sets.sweep, table=table))


def test_markdown_has_flat_names(two_data_sets):
    lines = render_markdown(make_table(two_data_sets, {})).splitlines()
    header = next(line for line in lines if line.startswith("|"))
    assert [cell.strip() for cell in header.strip("|").split("|")][1:] == [
        "CamVid: mIoU (%) ↑",
        "CamVid: Train (min) ↓",
        "own data: mIoU (%) ↑",
        "own data: Train (min) ↓",
    ]
    assert {line.count("|") for line in lines if line.startswith("|")} == {6}


def test_latex_has_a_header_across_the_columns_of_each_data_set(tested):
    text = render_latex(make_table(tested, {}))
    assert r" & \multicolumn{4}{c}{CamVid} & \multicolumn{4}{c}{own data} \\" in text
    assert r"\cmidrule(lr){2-5} \cmidrule(lr){6-9}" in text
    assert r" & \multicolumn{3}{c}{Mean of 2 data sets} \\" in text, "in a second part, as all are wider than a page"
    assert text.count("subscript: difference to") == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles_without_a_complaint(tmp_path, tested):
    assert COMPLAINT.findall(compile_document(tmp_path, render_preview(make_table(tested, {})))) == []


def test_the_page_names_the_data_set_of_each_cell_and_run(tested):
    page = render_html(make_table(tested, {}), gather_provenance(tested))
    reader = read(page)
    names = {attributes.get("data-name", "") for tag, attributes in reader.tags if tag == "td"}
    assert {"CamVid mIoU (%)", "own data mIoU (%)", "Mean of 2 data sets mIoU (%)"} <= names
    runs = [attributes["id"] for tag, attributes in reader.tags if tag == "tr" and "id" in attributes]
    assert "trial-w/o contrast@own data#0".replace("/", "-") in runs
    texts = " ".join(reader.texts)
    assert "pixel memory on own data" in texts
    links = {attributes["href"] for tag, attributes in reader.tags if tag == "a"}
    assert "#trial-pixel memory@CamVid#0" in links  # each cell links the trials of its own data set
    assert "#trial-pixel memory@own data#0" in links


def test_csv_and_parquet_have_the_data_set_in_their_columns(tested):
    frame = pd.read_csv(io.StringIO(render_csv(make_table(tested, {}))), index_col="row")
    assert frame.loc["pixel memory", "own data final/miou.mean"] == pytest.approx(0.6098)
    assert frame.loc["pixel memory", "Mean of 2 data sets final/miou.delta"] == pytest.approx(0.0149167, abs=1e-6)
    assert pd.isna(frame.loc["region memory", "own data final/miou.mean"])
    assert frame.loc["region memory", "own data final/miou.expected"] == 3
    runs = pq.read_table(io.BytesIO(render_parquet(tested))).to_pandas()
    assert set(runs.data_set) == {"CamVid", "own data"}
    found = runs[(runs.data_set == "own data") & (runs.row == "pixel memory") & (runs.metric == "final/miou")]
    assert sorted(found.value) == [0.6053, 0.6101, 0.6140]


def test_figures_are_those_of_each_data_set_and_say_of_which(tmp_path, two_data_sets):
    names = list(choose(two_data_sets, RunDirectory(tmp_path)))
    assert names == [
        "camvid-means",
        "camvid-differences",
        "camvid-classes",
        "own-data-means",
        "own-data-differences",
        "own-data-classes",
    ]
    titles = {"means": "Means"}
    assert figure_title("own-data-means", titles, two_data_sets.sweep.data_sets) == "own data: Means"
    assert figure_title("means", titles, ()) == "Means"
    assert [bars_of_means(FigureData.of(part)).name for part in two_data_sets.parts] == [
        "mIoU (%) on CamVid",
        "mIoU (%) on own data",
    ]


def test_figures_of_a_grid_say_of_which_data_set_they_are(tmp_path, two_data_sets):
    part = two_data_sets.parts[1]
    rows = tuple(
        replace(row, factors={"contrast.temperature": value})
        for row, value in zip(part.sweep.rows, (0.1, 0.2, 0.4), strict=True)
    )
    data = FigureData.of(replace(part, sweep=replace(part.sweep, method="grid", rows=rows, baseline=None)))
    line = line_over(data, rows, "contrast.temperature")
    assert (line.y_name, line.note.partition("; ")[0]) == ("mIoU (%)", "Data set: own data")
    assert learning_curves(data, RunDirectory(tmp_path), ["val/miou"])["val/miou"].data == "Data set: own data"


def test_a_trace_shows_the_cell_on_each_data_set(two_data_sets):
    text = "\n".join(plain(trace(two_data_sets, "pixel memory", "final/miou")))
    assert "ablation_memory · pixel memory on CamVid · mIoU (final/miou)" in text
    assert "shown as  60.98 ± 0.44 (+0.03) %, best" in text


def test_what_is_written_is_read_again(tmp_path, store, tested):
    store(tmp_path / "runs", tested)
    results = load_sweep(RunDirectory(tmp_path / "runs"), "ablation_memory")
    assert results.sweep == tested.sweep
    paths = write_reports(results, tmp_path / "out")
    assert {"classes-camvid.markdown", "classes-own-data.csv", *STYLES, "parquet"} <= set(paths)
    assert "IoU of the classes" in paths["classes-own-data.markdown"].read_text(encoding="utf-8")


def test_a_notebook_has_the_same_columns(tmp_path, store, tested):
    store(tmp_path, tested)
    frame = reports.frame("ablation_memory", tmp_path)
    assert "CamVid final/miou.p_holm" in frame.columns
    page = reports.styled("ablation_memory", tmp_path).to_html()
    assert "own data mIoU (%)" in page
    assert set(reports.runs("ablation_memory", tmp_path).data_set) == {"CamVid", "own data"}
