"""One page that makes no requests and escapes every text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from orchestrator.store.records import ErrorRecord
from reports.render.html import render_html, views_by_key
from reports.sources.published import read_published
from reports.tables.table import build_table
from tests.reports.conftest import results_of

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Reader(HTMLParser):
    """Checks nesting, collects tags and texts."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_well_nested_and_makes_no_request(example):
    page = render_html(build_table(example))
    reader = read(page)
    assert not {tag for tag, _ in reader.tags} & {"link", "img", "iframe"}
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert not any("src" in attributes for _, attributes in reader.tags)
    assert all(attributes["href"].startswith("#") for _, attributes in reader.tags if "href" in attributes)
    assert not re.search(r"url\(|@import|https?:", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_every_text_is_escaped(sweep_of, outcomes_of):
    evil = "<script>alert('x')</script>\"&"
    sweep = sweep_of(
        {"base": {}, evil: {"x": evil}},
        name=evil,
        question=evil,
        protocol=evil,
        spec=evil,
        recipe=evil,
        columns=("final/miou", evil),
    )
    for method in ("ablation", "grid"):
        changed = sweep_of({"base": {}, evil: {"y": 1, "x": evil}}, method=method, columns=("final/miou", evil))
        for each in (sweep, changed):
            page = render_html(build_table(results_of(each, outcomes_of({"base": [0.1, 0.2, 0.3]}))))
            reader = read(page)
            assert page.count("<script") == 1
            assert evil in "".join(reader.texts)


def test_hovering_shows_the_seeds_and_their_differences(example):
    table = build_table(example)
    region = views_by_key(table)["region memory"]["final/miou"]
    assert [(line.seed, line.text, line.delta) for line in region.seeds] == [
        (0, "43.01", "+1.96"),
        (1, "failed", ""),
        (2, "44.55", "+3.08"),
    ]
    assert region.tone == "good"


def test_seeds_are_placed_on_one_scale_per_column(sweep_of, outcomes_of):
    outcomes = outcomes_of({"base": [0.0, 0.5, 1.0], "a": [0.25, 0.25, 0.25]})
    views = views_by_key(build_table(results_of(sweep_of({"base": {}, "a": {"x": 1}}), outcomes)))
    base, ours = (views[label]["final/miou"] for label in ("base", "a"))
    assert [line.position for line in base.seeds] == [4.0, 50.0, 96.0]
    assert [line.position for line in ours.seeds] == [27.0, 27.0, 27.0]
    assert (base.baseline_position, ours.tone) == (50.0, "bad")


def test_failures_question_protocol_and_specification_are_on_the_page(example):
    text = "".join(read(render_html(build_table(example))).texts)
    for part in (
        "Which memory lifts mIoU?",
        "Synthetic test split, crop 96x128, batch 8, 300 steps",
        "failed: DivergedError: the loss is nan at step 120",
        "16 of 21",
        "name: ablation_memory",
    ):
        assert part in text


def test_a_failed_run_shows_its_traceback(example):
    failed = example.outcomes["region memory#1"]
    error = ErrorRecord(kind="DataError", message="m", traceback="Traceback: <x>", signature="0a1b2c3d")
    outcomes = {**example.outcomes, failed.trial_id: replace(failed, error=error)}
    page = render_html(build_table(replace(example, outcomes=outcomes)))
    assert page.count("<summary>Traceback <code>0a1b2c3d</code></summary><pre>Traceback: &lt;x&gt;</pre>") == 1
    assert "<summary>Traceback" not in render_html(build_table(example))


def test_published_figures_are_beside_and_below(example):
    page = render_html(build_table(example, read_published("contrastiveseg_readme")))
    assert page.count("<tbody") == 2
    assert page.index("80.18") < page.index('<tbody class="references">') < page.index("77.67")
