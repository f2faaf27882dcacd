"""A real browser on MLflow's pages of a sweep: what people see, and how soon with a thousand trials."""

from __future__ import annotations

import json
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from orchestrator.commands.sync import sync_sweeps
from orchestrator.commands.ui import page_of
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.tracking.mlflow_store import EXPERIMENT
from tests.end_to_end.tracking_server import TrackingServer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to test with")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = [
    pytest.mark.slow,  # a server and a browser
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

SECONDS = 60_000
"""How long to wait for the page, ms; measured times have their own limits."""
LIMIT_SECONDS = 3.0
COLUMNS = """() => [...document.querySelectorAll('.ag-header-cell')]
    .sort((one, other) => one.getBoundingClientRect().left - other.getBoundingClientRect().left)
    .map(cell => cell.getAttribute('col-id'))"""
"""Names of the columns in MLflow's list, from left to right."""
CELLS = """names => [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')]
    .map(row => Number(row.getAttribute('row-index'))).sort((one, other) => one - other)
    .map(index => names.map(name =>
        document.querySelector(`.ag-row[row-index="${index}"] [col-id="${CSS.escape(name)}"]`)?.innerText ?? ''))"""
"""Texts of columns with these names, row by row."""
FILTER_BOX = "input[placeholder*='metrics.rmse']"


class Site:
    """A store's sweep behind a server."""

    def __init__(self, folder: Path, rows: int, seeds: int, knobs: int, copies: int = 0) -> None:
        """`copies`: further rows, which are written into the database: to log a thousand trials takes minutes."""
        self.server = TrackingServer(folder / "server")
        self.backend = backend = f"sqlite:///{folder / 'server' / 'server.db'}"
        fill(RecordStore(folder / "runs"), rows, seeds, knobs)
        (done,) = sync_sweeps(folder / "runs", ["memory"], backend)
        assert len(done.delivered) == rows * seeds
        copy_row(folder / "server" / "server.db", range(rows, rows + copies))
        self.server.start()
        client = MlflowClient(tracking_uri=backend)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        self.experiment = experiment.experiment_id
        self.runs = {run.info.run_name: run for run in client.search_runs([self.experiment], max_results=5000)}

    def url(self, path: str) -> str:
        return f"{self.server.uri}/#/experiments/{self.experiment}/{path}"

    def run_url(self, name: str, path: str = "") -> str:
        return self.url(f"runs/{self.runs[name].info.run_id}{path}")


def fill(store: RecordStore, rows: int, seeds: int, knobs: int) -> None:
    """A finished sweep of `rows` x `seeds` trials with `knobs` parameters each."""
    cells = [
        PlannedRun(row=f"row {row}", seed=seed, trial_id=f"t{row}x{seed}")
        for row in range(rows)
        for seed in range(seeds)
    ]
    store.write_sweep(
        SweepRecord(
            name="memory",
            question="Which memory lifts mIoU?",
            method="ablation",
            recipe="synthetic",
            metric="final/miou",
            goal="maximize",
            baseline="row 0",
            rows=tuple(Row(label=f"row {row}", factors={"contrast.memory.kind": f"kind {row}"}) for row in range(rows)),
            seeds=tuple(range(seeds)),
            cells=tuple(cells),
        )
    )
    picture = Image.fromarray(np.full((32, 64, 3), (200, 30, 30), dtype=np.uint8))
    for index, cell in enumerate(cells):
        config = {"schedule.steps": 100, **{f"knob.{number}": number for number in range(knobs)}}
        store.start(cell.trial_id, 1, config, time=1e9 + index)
        for step in (50, 100):
            point = Point(step=step, metrics={"val/miou": step / 1000 + index / 1e4, "train/loss": 1 / step}, time=1e9)
            store.append(cell.trial_id, point)
        if index == 0:
            (store.workdir(cell.trial_id) / "pictures").mkdir(parents=True)
            picture.save(store.workdir(cell.trial_id) / "pictures" / "sheet.png")
        metrics = {"final/miou": 0.3 + index / 1e4, "cost/train_minutes": 1.5}
        metrics |= {f"final/iou/class {number}": 0.5 for number in range(19)}
        store.end(
            AttemptRecord(
                trial_id=cell.trial_id, attempt=1, state=State.DONE, started_at=1e9, ended_at=1e9 + 60, metrics=metrics
            )
        )


TABLES = ("runs", "params", "tags", "metrics", "latest_metrics")
"""Tables of MLflow with the facts of a run."""


def copy_row(database: Path, numbers: Iterable[int]) -> None:
    """Copy the runs of row 0 as those of rows with these numbers."""
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = {
            table: [column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")] for table in TABLES
        }
        runs = connection.execute("SELECT run_uuid FROM tags WHERE key = 'row' AND value = 'row 0'").fetchall()
        for number, (run,) in product(numbers, runs):
            copy = uuid4().hex
            for table, names in columns.items():
                values = ", ".join("?" if name == "run_uuid" else name for name in names)
                line = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE run_uuid = ?"  # noqa: S608
                connection.execute(line, (copy, run))
            for table, column in (("runs", "name"), ("tags", "value")):
                line = f"UPDATE {table} SET {column} = replace({column}, 'row 0', ?) WHERE run_uuid = ?"  # noqa: S608
                connection.execute(line, (f"row {number}", copy))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(SECONDS)
    yield page
    page.screenshot(path=str(tmp_path / "last.png"))
    page.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), rows=5, seeds=3, knobs=10)
    yield site
    site.server.kill()


def test_the_list_nests_children_below_their_sweep(site: Site, page: Any) -> None:
    page.goto(f"{site.server.uri}/{page_of(site.backend)}")
    page.get_by_text("16 matching runs").wait_for()
    assert page.get_by_text("s2 · row 4", exact=True).count() == 0
    unfold(page)
    page.get_by_text("s2 · row 4", exact=True).first.wait_for()


def test_the_page_of_the_sweep_shows_the_table_and_the_children(site: Site, page: Any) -> None:
    page.goto(site.run_url("memory"))
    page.get_by_text("Which memory lifts mIoU?").first.wait_for()
    table = page.locator("table", has_text="Variant").first
    table.wait_for(state="attached")
    text = table.inner_text()
    assert [f"row {row}" in text for row in range(5)] == [True] * 5
    assert "30.01 ± 0.01" in text
    page.get_by_text("s1 · row 3").first.wait_for()
    page.get_by_text("trials/done").first.wait_for(state="attached")


def test_the_link_of_a_sweep_opens_its_view(site: Site, page: Any) -> None:
    """Row, seed, figure, difference and minutes, sorted by the figure and grouped by row, best first."""
    page.set_viewport_size({"width": 2400, "height": 1000})  # columns beyond the edge would not be there
    page.goto(f"{site.server.uri}/{page_of(site.backend, 'memory')}")
    page.get_by_text("15 matching runs").wait_for()
    page.get_by_text("s0 · row 0", exact=True).first.wait_for()
    assert page.get_by_test_id("saved-views-trigger").inner_text() == "memory"
    assert [name for name in page.evaluate(COLUMNS) if "`" in (name or "")] == [
        "attributes.`Run Name`",
        "tags.`row`",
        "tags.`seed`",
        "metrics.`final/miou`",
        "metrics.`difference/miou`",
        "metrics.`cost/train_minutes`",
        "params.`memory.kind`",
    ]
    shown = page.evaluate(CELLS, ["attributes.`Run Name`", "tags.`seed`", "metrics.`difference/miou`"])
    found = [(name_in(name), seed, round(float(difference.split(" ")[0]), 6)) for name, seed, difference in shown[:5]]
    assert found == [
        ("Group: row 4", "", 0.0012),
        ("s2 · row 4", "2", 0.0012),
        ("s1 · row 4", "1", 0.0012),
        ("s0 · row 4", "0", 0.0012),
        ("Group: row 3", "", 0.0009),
    ]


def test_the_charts_of_the_view_show_what_was_varied(site: Site, page: Any) -> None:
    page.goto(f"{site.server.uri}/{page_of(site.backend, 'memory')}&compareRunsMode=CHART")
    axes = page.locator("svg .dimension .label")
    axes.nth(2).wait_for(state="attached")
    assert axes.all_text_contents() == ["row", "memory.kind", "final/miou"]
    page.get_by_text("val/miou").first.wait_for()


def test_the_comparison_of_five_children_shows_what_was_varied(site: Site, page: Any) -> None:
    runs = quote(json.dumps([site.runs[f"s0 · row {row}"].info.run_id for row in range(5)]))
    page.goto(f"{site.server.uri}/#/compare-runs?runs={runs}&experiments={quote(json.dumps([site.experiment]))}")
    page.get_by_text("Comparing 5 Runs").first.wait_for()
    page.locator(".js-plotly-plot .parcoords").first.wait_for(state="attached")
    axes = page.evaluate("document.querySelector('.js-plotly-plot').data[0].dimensions.map(axis => axis.label)")
    assert axes[:2] == ["memory.kind", "row"]


def test_five_children_are_compared_in_a_chart(site: Site, page: Any) -> None:
    names = [f"s0 · row {row}" for row in range(5)]
    runs = quote(json.dumps([site.runs[name].info.run_id for name in names]))
    metric, experiments = quote(json.dumps("val/miou")), quote(json.dumps([site.experiment]))
    keys = quote(json.dumps(["val/miou"]))
    address = f"{site.server.uri}/#/metric/val/miou?runs={runs}&metric={metric}&experiments={experiments}"
    page.goto(f"{address}&plot_metric_keys={keys}&plot_layout=%7B%7D&x_axis=step&y_axis_scale=linear&line_smoothness=1")
    page.get_by_text("Comparing 5 Runs").first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer .trace").nth(4).wait_for(state="attached")
    drawn = page.evaluate("[...document.querySelector('.js-plotly-plot').data].map(line => [line.name, [...line.y]])")
    curves = {name.split(" (")[0]: values for name, values in drawn}
    assert curves == {f"s0 · row {row}": [0.05 + 3 * row / 1e4, 0.1 + 3 * row / 1e4] for row in range(5)}


def test_a_picture_of_a_trial_is_shown(site: Site, page: Any) -> None:
    page.goto(site.run_url("s0 · row 0", "/artifacts/pictures/sheet.png"))
    image = page.locator("img[src*='blob:'], img[src*='get-artifact'], img[src*='sheet']").first
    image.wait_for(state="attached")
    page.wait_for_function("image => image.complete && image.naturalWidth === 64", arg=image.element_handle())


def test_a_thousand_trials_are_listed_and_filtered_within_three_seconds(tmp_path: Path, page: Any) -> None:
    site = Site(tmp_path, rows=1, seeds=4, knobs=60, copies=249)
    try:
        page.goto(site.url("runs"))
        page.get_by_text("matching runs").wait_for()
        listing = [seconds(lambda: (page.reload(), page.get_by_text("matching runs").wait_for())) for _ in range(3)]

        unfold(page)

        def find(row: int, seed: int) -> None:
            box = page.locator(FILTER_BOX)
            box.fill(f"tags.row = 'row {row}' AND tags.seed = '{seed}'")
            box.press("Enter")
            page.get_by_text(f"s{seed} · row {row}", exact=True).first.wait_for()
            page.get_by_text("2 matching runs").wait_for()  # the trial, and its sweep above it

        filtering = [seconds(lambda row=row: find(row, row % 4)) for row in (17, 101, 202)]
    finally:
        site.server.kill()

    assert statistics.median(listing) < LIMIT_SECONDS, listing
    assert statistics.median(filtering) < LIMIT_SECONDS, filtering


def name_in(text: str) -> str:
    """The name of a run or group in the text of its cell, without its colour."""
    return next(line for line in text.split("\n") if not line.startswith("#"))


def unfold(page: Any) -> None:
    """Show the children of the sweep in the list."""
    page.locator("[role=row]", has_text="memory").locator("button:visible").first.click()


def seconds(action: Callable[[], Any]) -> float:
    """How long it takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began
