"""The page in a real browser: text stays text, no requests, it sorts, and it fits a phone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.store.records import ErrorRecord, SweepRecord, TableRecord
from orchestrator.store.run_directory import RunDirectory
from reports.write import write_reports
from tests.reports.conftest import results_of

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
