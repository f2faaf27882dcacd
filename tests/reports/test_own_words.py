"""The reports of a classifier of sentences: its own words everywhere, and none of segmentation."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.store.image_counts import write_image_counts
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord, TableRecord
from orchestrator.workload.data_record import DataRecord, SplitRecord
from orchestrator.workload.metric import Metric
from reports.figures.differences import class_differences
from reports.figures.figure_data import FigureData
from reports.render.html import render_html
from reports.render.latex import render_latex
from reports.render.markdown import render_markdown
from reports.tables.class_table import build_class_tables
from reports.write import make_table
from tests.reports.conftest import make_outcomes, make_sweep
from trainer.workload.metrics import METRICS

CLASSES = ("joy", "anger")
ROWS = {"base": {}, "better": {"width": 1}}
SKILL = {"base": 0.6, "better": 0.8}
SEEDS = (0, 1, 2)
DECLARED = (
    Metric(
        name="final/accuracy", title="Accuracy", unit="%", direction="up", decimals=2, ranked=True, counts="accuracy"
    ),
    Metric(name="final/balanced", title="Balanced acc.", unit="%", direction="up", ranked=True, over_classes=True),
    Metric(name="final/recall/", title="Recall {}", unit="%", direction="up", ranked=True, counts="accuracy"),
    Metric(name="final/loss/", title="Loss {}", direction="down", decimals=2, ranked=True),
)
DATA = DataRecord(
    title="Moods",
    class_names=CLASSES,
    examples="sentences",
    labelled="sentences",
    roles={"test": "test"},
    splits=(SplitRecord(name="test", images=40, pixels=(20, 20)), SplitRecord(name="unlabelled", images=7)),
)
SEGMENTATION = re.compile(r"\biou\b|miou|pixel|\bimages?\b|crop|void|contrast", re.IGNORECASE)


def counts_of(row: str, seed: int) -> np.ndarray:
    """One sentence each: correct, labelled and predicted, by class."""
    label_N = np.arange(40) % 2
    correct_N = np.random.default_rng([seed, len(row)]).random(40) < SKILL[row]
    predicted_N = np.where(correct_N, label_N, 1 - label_N)
    labelled_NC, predicted_NC = (np.eye(2, dtype=np.int64)[index_N] for index_N in (label_N, predicted_N))
    return np.stack([labelled_NC * predicted_NC, labelled_NC, predicted_NC], axis=-1)


@pytest.fixture
def swept(tmp_path):
    """A finished sweep of the classifier in a run directory."""
    columns = ("final/accuracy", "final/balanced", "final/recall/joy")
    sweep: SweepRecord = make_sweep(
        ROWS,
        question="Does width help?",
        metric="final/accuracy",
        seeds=SEEDS,
        workload="moods.py",
        metrics=DECLARED,
        data=(DATA,),
        protocol="Moods, 3 layers",
        spec="workload: moods.py",
        recipe="",
        table=TableRecord(columns=columns),
        name="moods",
    )
    store = RecordStore(tmp_path / "runs")
    store.write_sweep(sweep)
    counts = {(row, seed): counts_of(row, seed) for row in ROWS for seed in SEEDS}

    def metrics(row, seed):
        correct_C, labelled_C, _ = counts[row, seed].sum(axis=0).T
        recall_C = correct_C / labelled_C
        figures = {"final/accuracy": correct_C.sum() / labelled_C.sum(), "final/balanced": recall_C.mean()}
        for name, recall in zip(CLASSES, recall_C, strict=True):
            figures |= {f"final/recall/{name}": recall, f"final/loss/{name}": 1 - recall + seed / 1000}
        return {key: float(value) for key, value in figures.items()}

    outcomes = make_outcomes({row: [metrics(row, seed) for seed in SEEDS] for row in ROWS}, seeds=SEEDS)
    for run in sweep.cells:
        files = write_image_counts(store, run.trial_id, 1, counts[run.row, run.seed], CLASSES)
        store.end(replace(outcomes[run.trial_id], files=files))
    return store


def test_no_format_has_a_word_of_segmentation(swept):
    results = swept.results("moods")
    tables = [make_table(results, {}, swept), *build_class_tables(results).values()]
    for table in tables:
        page = re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", render_html(table), flags=re.DOTALL)
        for text in (page, render_markdown(table), render_latex(table)):
            assert not (found := SEGMENTATION.search(text)), text[max(0, found.start() - 60) : found.end() + 60]


def test_the_figures_are_resampled_and_the_means_say_their_classes(swept):
    text = render_markdown(make_table(swept.results("moods"), {}, swept))
    assert "Other test sentences would also move the differences: standard error over the 40 test sentences" in text
    assert re.search(r"sentences Accuracy \d+\.\d+, Recall joy \d+", text), "each by the counts that it declares"
    assert "Balanced acc. over all 2 classes." in text


def test_each_family_has_a_table_of_classes_and_less_is_a_gain_where_it_is_declared(swept):
    results = swept.results("moods")
    tables = build_class_tables(results)
    assert list(tables) == ["classes", "classes-loss"]
    recall, loss = tables.values()
    assert recall.caption.startswith("Recall of the classes (%), sorted by the gain of “better”.")
    assert loss.caption.startswith("Loss of the classes, sorted by the gain of “better”.")
    assert [row.label for row in loss.rows] == [row.label for row in recall.rows], "loss is 1 - recall"
    assert loss.label == "tab:moods-classes-loss"
    assert "points" not in " ".join(note.text for note in loss.notes)
    assert "in points" in " ".join(note.text for note in recall.notes)
    bars = class_differences(FigureData.of(results))
    assert bars.name.startswith("Δ Recall (%)")
    assert sorted(row.label for row in bars.rows) == sorted(CLASSES)


def test_the_census_shows_what_was_counted_in_its_own_words(swept):
    page = render_html(make_table(swept.results("moods"), {}, swept))
    assert '<th scope="col">Sentences</th>' in page
    assert "test, labelled sentences" in page
    assert "unlabelled, labelled" not in page, "nothing of it was counted"
    assert not re.search("Void|Sizes|Stored as", page), "a column is shown if a split has it"


def test_a_plan_of_before_knows_which_metrics_are_means(swept):
    old = tuple(replace(metric, over_classes=False, counts="") for metric in METRICS)
    sweep = make_sweep(ROWS, metrics=(*old, Metric(name="final/mine")), workload="trainer.workload")
    found = {metric.name: metric for metric in sweep.declared_metrics}
    assert found["final/miou"].over_classes
    assert found["final/miou"].counts == "mean_iou"
    assert "final/mine" in found, "the metric of a plugin stays"
    assert make_sweep(ROWS, metrics=DECLARED, workload="moods.py").declared_metrics == DECLARED
