"""The page in a real browser: text stays text, no requests, it sorts, and it fits a phone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.store.attempt_record import ErrorRecord
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.running_sweep import RunningSweep, TrialProgress
from orchestrator.store.sweep_record import SweepRecord, TableRecord
from orchestrator.workload.metric import Metric
from reports.render.html import render_html
from reports.render.provenance import gather_provenance
from reports.render.running_curves import charts_of
from reports.tables.table import build_table
from reports.write import write_reports
from tests.reports.conftest import results_of
from tests.reports.render.test_compared_images import swept

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,  # a browser
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]

EVIL = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def written():
    """The page by name; it is written once."""
    return {}


@pytest.fixture
def page_file(tmp_path_factory, example, written):
    """A page whose row label, data set, failure, class and question are scripts, with figures."""
    if "page" not in written:
        written["page"] = write_page(example, tmp_path_factory.mktemp("page"))
    return written["page"]


def write_page(results, folder):
    """See `page_file`."""
    text = json.dumps(results.sweep.to_json()).replace("pixel & region <memory>#", "evil#")  # no trial id is refused
    text = text.replace("pixel & region <memory>", EVIL)
    sweep = SweepRecord.from_json(json.loads(text))
    sweep = replace(
        sweep,
        question=EVIL,
        protocol=f"data set {EVIL}",
        recipe=EVIL,
        table=TableRecord(columns=(*sweep.table.columns, f"final/iou/{EVIL}")),
    )
    outcomes = {key.replace("pixel & region <memory>", EVIL): record for key, record in results.outcomes.items()}
    for key, record in outcomes.items():
        error = record.error and ErrorRecord(kind=EVIL, message=EVIL, traceback=EVIL, signature="0a1b2c3d")
        metrics = {**record.metrics, f"final/iou/{EVIL}": record.metrics.get("final/miou", 0.0)}
        outcomes[key] = replace(record, trial_id=key, error=error, metrics=metrics)
    sweep = replace(
        sweep,
        cells=tuple(replace(cell, trial_id=cell.trial_id.replace("evil#", f"{EVIL}#")) for cell in sweep.cells),
    )
    return write_reports(results_of(sweep, outcomes), folder, ["html"], directory=RunDirectory(folder / "runs"))["html"]


@pytest.fixture
def open_page(browser, page_file):
    """Opens the page in a context; returns it and what it asked of the network and wrote to the console."""

    def opener(**options):
        page = browser.new_context(**options).new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(page_file.as_uri())
        return page, [url for url in asked if not url.startswith(("file:", "data:"))], said

    return opener


def test_scripts_stay_text_and_there_are_no_requests(open_page):
    page, asked, said = open_page()
    assert page.title() == "ablation_memory"
    assert (asked, said) == ([], [])
    assert page.locator("script").count() == 1
    page.evaluate("document.querySelectorAll('details').forEach((item) => (item.open = true))")
    text = page.locator("main").inner_text()
    for place in (f"data set {EVIL}", f"IoU {EVIL}", f"failed: {EVIL}: {EVIL}", "0a1b2c3d"):
        assert place in text
    assert page.locator("th[scope=row] .text", has_text=EVIL).count() >= 1


def test_a_click_on_a_header_sorts_and_a_third_restores(open_page):
    page, _, _ = open_page()
    table = page.locator("table.sortable").first
    rows = table.locator("tbody.ours tr th .text")
    before = rows.all_inner_texts()
    button = table.locator("thead button", has_text="mIoU").first
    button.click()
    assert rows.all_inner_texts()[0] == EVIL
    assert button.locator("..").get_attribute("aria-sort") == "descending"
    values = [
        float(value)
        for value in table.locator("tbody.ours td:nth-child(2)").evaluate_all(
            "cells => cells.map((cell) => cell.dataset.value).filter((value) => value)"
        )
    ]
    assert values == sorted(values, reverse=True)
    button.click()
    assert rows.all_inner_texts()[0].startswith("w/o contrast")
    button.click()
    assert rows.all_inner_texts() == before


def test_hovering_shows_the_seeds_and_links_to_the_run(open_page):
    page, _, _ = open_page()
    cell = page.locator("td.cell").first
    assert not cell.locator(".seeds").is_visible()
    cell.hover()
    assert cell.locator(".seeds").is_visible()
    assert "seed 0" in cell.locator(".seeds").inner_text()
    target = cell.locator(".seeds a").first.get_attribute("href")
    assert page.evaluate("(id) => document.getElementById(id) !== null", target.removeprefix("#"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_fits_the_screen_in_both_schemes(open_page, scheme, width):
    page, _, _ = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) > 380) == (scheme == "light")
    shown = page.locator(f".gallery .{scheme}").first
    assert shown.is_visible()
    assert not page.locator(f".gallery .{'dark' if scheme == 'light' else 'light'}").first.is_visible()


@pytest.mark.parametrize(("width", "columns"), [(390, 2), (1280, 4)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_compared_images_fit_the_screen_and_leave_no_white_block(browser, tmp_path, width, columns, scheme):
    results, directory = swept(tmp_path)
    file = tmp_path / "table.html"
    file.write_text(render_html(build_table(results), gather_provenance(results, directory)), encoding="utf-8")
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    panels = page.locator(".panels").first.locator("figure")
    tops = {round(panels.nth(place).bounding_box()["y"]) for place in range(4)}
    assert len(tops) == 4 / columns
    assert page.locator(".panels img").nth(2).evaluate("(image) => image.naturalWidth") == 6
    for image in page.locator("figure img").all():
        ground = image.evaluate("(item) => getComputedStyle(item).backgroundColor")
        assert ground == "rgba(0, 0, 0, 0)", "what is transparent shows the page"
    inverted = page.locator(".pictures img").first.evaluate("(item) => getComputedStyle(item).filter")
    assert ("invert" in inverted) == (scheme == "dark")


def running_page(results, done, at):
    """The page of a running sweep with `done` as its question, written at `at`."""
    curves = {"w-o contrast#0": ((10, 2.0), (20, 1.0)), "pixel memory#0": ((10, 2.5), (20, 1.5))}
    trials = tuple(TrialProgress(label=f"pixel memory, seed {seed}", step=20, steps=180) for seed in range(3))
    watched = Metric(name="val/miou", title="Val mIoU", unit="%")
    running = RunningSweep(at=at, watched=watched, trials=trials, curves={"train/loss": curves})
    sweep = replace(results.sweep, question=done)
    table = build_table(replace(results, sweep=sweep))
    return render_html(table, gather_provenance(results), running=running, charts=charts_of(results, running))


def until(page, condition):
    """Wait for a condition; the page refuses to evaluate text itself, as `wait_for_function` would have it."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def test_the_page_of_a_running_sweep_stays_where_it_was_read_and_ends_with_the_final_one(
    browser, tmp_path, example, monkeypatch
):
    monkeypatch.setattr("reports.render.html.RELOAD_SECONDS", 1)
    file = tmp_path / "table.html"
    now = datetime.now(UTC)
    file.write_text(running_page(example, "first", now), encoding="utf-8")
    page = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark").new_page()
    said, loads = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("load", lambda: loads.append(1))
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".gallery polyline").count() == 3, "two rows share their trials"
    page.locator("#runs summary").click()
    page.evaluate("document.querySelector('table.sortable th:nth-child(2) button').click()")
    page.evaluate("window.scrollTo(0, 700)")
    page.mouse.move(1, 1)
    file.write_text(running_page(example, "second", now), encoding="utf-8")
    page.locator(".question", has_text="second").wait_for()
    until(page, "window.scrollY === 700")
    assert page.evaluate("document.querySelector('#runs').open")
    assert page.locator("table.sortable th").nth(1).get_attribute("aria-sort") == "descending"
    file.write_text(render_html(build_table(example)), encoding="utf-8")
    page.locator(".running").wait_for(state="detached")
    count = len(loads)
    page.wait_for_timeout(1500)
    assert len(loads) == count, "the final page is not loaded again"
    assert said == []


def test_a_page_that_nobody_writes_any_more_says_so_and_stops(browser, tmp_path, example, monkeypatch):
    monkeypatch.setattr("reports.render.html.RELOAD_SECONDS", 1)
    file = tmp_path / "table.html"
    file.write_text(running_page(example, "killed", datetime.now(UTC) - timedelta(hours=1)), encoding="utf-8")
    page = browser.new_context().new_page()
    loads = []
    page.on("load", lambda: loads.append(1))
    page.goto(file.as_uri())
    page.locator(".running.stale", has_text="Nothing has been written since").wait_for()
    page.wait_for_timeout(1200)
    assert len(loads) == 1
