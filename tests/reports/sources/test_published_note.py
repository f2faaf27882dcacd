"""The note about published figures says how they were measured differently from ours, in every format."""

from dataclasses import replace

import pytest

from orchestrator.workload.protocol_record import BaseSizeRecord, ProtocolRecord
from reports.render.html import render_html
from reports.render.latex import render_latex
from reports.render.markdown import render_markdown
from reports.sources.published import Published, PublishedRow, read_published
from reports.sources.published_note import published_note
from reports.tables.table import build_table
from tests.reports.conftest import results_of

OURS = ProtocolRecord(
    data="cityscapes",
    train_split="train",
    split="val",
    evaluation="single_scale",
    scales=(1.0,),
    base_size=BaseSizeRecord(),
)
SCALES = (0.5, 1.0, 2.0)
ROWS = {"base": {"contrast.source": "none"}}


def note_of(sweep_of, theirs, *ours):
    rows = (PublishedRow(label="a", values={}), PublishedRow(label="b", values={}, protocol=None))
    published = Published(title="T", setting="S", source="R", checked="read", protocol=theirs, rows=rows)
    return published_note(published, sweep_of(ROWS, protocols=ours, protocol="Ours"))


@pytest.mark.parametrize(
    ("theirs", "sentence"),
    [
        ({}, "same data, splits, image size and evaluation as ours"),
        ({"scales": None}, "same data, splits, image size and evaluation as ours"),
        ({"evaluation": "multi_scale_flip", "scales": SCALES}, "multi-scale and flip; ours: single scale"),
        ({"evaluation": "flip"}, "single scale and flip; ours: single scale"),
        ({"evaluation": "unknown", "scales": None}, "unknown evaluation; ours: single scale"),
        (
            {"split": "test", "evaluation": "multi_scale_flip"},
            "test split, multi-scale and flip; ours: val split, single scale",
        ),
        ({"train_split": "trainval"}, "trainval as training split; ours: train as training split"),
        ({"train_split": "unknown"}, "unknown as training split; ours: train as training split"),
        ({"data": "camvid"}, "camvid data; ours: cityscapes data"),
        ({"base_size": BaseSizeRecord(short=520)}, "short side 520; ours: images at their own size"),
        ({"base_size": None}, "unknown image size; ours: images at their own size"),
        ({"window": (512, 1024)}, "512x1024 windows; ours: whole images"),
    ],
)
def test_what_differs_is_said_in_one_sentence(sweep_of, theirs, sentence):
    note = note_of(sweep_of, replace(OURS, **theirs), OURS)
    assert note == (
        f"T: S. Source: R (read). Published figures: {sentence}. Not our training (Ours): compare trends, not values."
    )


def test_lists_of_scales_are_named_where_only_they_differ(sweep_of):
    ours = replace(OURS, evaluation="multi_scale_flip", scales=SCALES)
    theirs = replace(ours, scales=(0.75, 1.0))
    text = "Published figures: multi-scale (0.75, 1) and flip; ours: multi-scale (0.5, 1, 2) and flip."
    assert text in note_of(sweep_of, theirs, ours)
    assert "evaluation as ours" in note_of(sweep_of, ours, ours)


def test_rows_of_ours_with_several_protocols_are_all_named(sweep_of):
    flip = replace(OURS, evaluation="flip")
    assert "Published figures: single scale; ours: single scale or single scale and flip." in note_of(
        sweep_of, OURS, OURS, flip
    )


def test_a_plan_of_before_does_not_say_how_its_rows_are_measured(sweep_of):
    assert note_of(sweep_of, OURS) == "T: S. Source: R (read). Not our training (Ours): compare trends, not values."


def test_published_rows_with_protocols_of_their_own_have_a_sentence_each(sweep_of):
    note = published_note(read_published("hrnet"), sweep_of(ROWS, protocols=(OURS,)))
    assert "Published figures (HRNetV2-W48, val): same data, splits, image size and evaluation as ours." in note
    assert "(HRNetV2-W48, test): test split, multi-scale and flip; ours: val split, single scale." in note
    assert (
        "(HRNet, PASCAL-Context; OCR, PASCAL-Context): pascal_context data, short side 520, multi-scale and flip; "
        "ours: cityscapes data, images at their own size, single scale."
    ) in note


@pytest.mark.parametrize("render", [render_markdown, render_latex, render_html])
@pytest.mark.parametrize("stem", ["contrastiveseg_readme", "hrnet"], ids=["beside", "below"])
def test_every_format_prints_the_sentence(sweep_of, render, stem):
    flip = replace(OURS, evaluation="flip", base_size=BaseSizeRecord(short=1024))
    table = build_table(results_of(sweep_of(ROWS, protocols=(flip,)), {}), read_published(stem))
    text = " ".join(render(table).split())
    assert "images at their own size, single scale; ours: short side 1024, single scale and flip." in text
