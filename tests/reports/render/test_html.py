"""One page that makes no requests and escapes every text."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator.store.attempt_record import ErrorRecord
from orchestrator.store.running_sweep import RunningSweep, TrialProgress
from orchestrator.workload.metric import Metric
from reports.render import html
from reports.render.html import render_html, views_by_key
from reports.render.provenance import FigureView, Provenance
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
    assert region.tone == "even", "two seeds in common: not tested"


def test_seeds_are_placed_on_one_scale_per_column(sweep_of, outcomes_of):
    outcomes = outcomes_of({"base": [0.0, 0.5, 1.0], "a": [0.25, 0.25, 0.25]})
    views = views_by_key(build_table(results_of(sweep_of({"base": {}, "a": {"x": 1}}), outcomes)))
    base, ours = (views[label]["final/miou"] for label in ("base", "a"))
    assert [line.position for line in base.seeds] == [4.0, 50.0, 96.0]
    assert [line.position for line in ours.seeds] == [27.0, 27.0, 27.0]
    assert (base.baseline_position, ours.tone) == (50.0, "even")


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


WATCHED = Metric(name="val/miou", title="Val mIoU", unit="%", decimals=2)
NOW = RunningSweep(
    at=datetime(2026, 11, 28, 14, 3, 20, tzinfo=UTC),
    watched=WATCHED,
    trials=(
        TrialProgress(
            label="half way, seed 1", step=60, steps=180, metrics={"train/loss": 1.23456, "val/miou": 0.4321}
        ),
        TrialProgress(label="<b>, seed 2"),
    ),
)


def test_the_page_of_a_running_sweep_loads_itself_again_and_says_how_far_it_is(example):
    page = render_html(build_table(example), running=NOW)
    reader = read(page)
    assert '<meta http-equiv="refresh" content="10">' in page, "without scripts"
    assert "location.reload()" in page
    assert "16 of 21 done, updated 14:03." in "".join(reader.texts)
    assert f'data-time="{int(NOW.at.timestamp() * 1000)}"' in page
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert "<title>16 of 21: ablation_memory</title>" in page
    assert "<td>half way, seed 1</td><td>60 of 180</td>" in page
    assert "<td>1.235</td><td>43.21%</td>" in page
    assert "<td>&lt;b&gt;, seed 2</td><td>0</td><td></td><td></td><td></td>" in page


def test_a_final_page_stays_as_it_is(example):
    page = render_html(build_table(example))
    assert "refresh" not in page
    assert "reload" not in page
    assert "sessionStorage" not in page
    assert "<title>ablation_memory</title>" in page


def test_figures_of_a_running_sweep_are_called_what_they_are(example):
    figures = Provenance(figures=(FigureView(name="means", title="Means", light="<svg></svg>", dark="<svg></svg>"),))
    said = "As the last command drew them"
    assert said in render_html(build_table(example), figures, running=NOW)
    assert said not in render_html(build_table(example), figures)


@pytest.mark.parametrize(
    ("direction", "values", "tone"),
    [
        ("maximize", [0.50, 0.51, 0.52], "good"),
        ("maximize", [0.30, 0.31, 0.32], "bad"),
        ("minimize", [0.50, 0.51, 0.52], "bad"),
        ("minimize", [0.30, 0.31, 0.32], "good"),
        ("maximize", [0.60, 0.41, 0.30], "even"),
        ("maximize", [0.50, 0.51], "even"),
        ("maximize", [0.40, 0.41, 0.42], "even"),
    ],
)
def test_only_a_significant_difference_has_a_colour(sweep_of, outcomes_of, direction, values, tone):
    base = [0.400, 0.412, 0.419]
    sweep = sweep_of({"base": {}, "a": {"x": 1}}, goal=direction, seeds=tuple(range(len(values))))
    table = build_table(results_of(sweep, outcomes_of({"base": base, "a": values})))
    view = views_by_key(table)["a"]["final/miou"]
    assert view.tone == tone
    assert (tone == "even") != view.cell_text.significant
    assert f'<span class="delta {tone}"' in render_html(table)


def colours(scheme):
    """The variables of the style sheet in one of the schemes, as `#rrggbb`."""
    style = (Path(html.__file__).parent / "style.css.jinja").read_text(encoding="utf-8")
    light, dark = style.split("@media (prefers-color-scheme: dark)", 1)
    found = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light))
    return found | (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", dark)) if scheme == "dark" else {})


def luminance(colour):
    """Of WCAG 2."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_of_text_can_be_read_on_every_background(scheme):
    """WCAG AA: small text has a contrast of 4.5 or more."""
    found = colours(scheme)
    for text, ground in itertools.product(("ink", "soft", "good", "bad", "warn", "accent"), ("page", "sheet", "tint")):
        light, dark = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
