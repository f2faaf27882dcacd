"""Every mean says over which classes it is, and rows that average over different ones are named."""

from __future__ import annotations

import pytest

from orchestrator.store.sweep_record import TableRecord
from orchestrator.workload.data_record import DataRecord, SplitRecord
from reports.render.html import render_html
from reports.render.markdown import render_markdown
from reports.tables.combined_table import combine_tables
from reports.tables.table import build_table
from tests.reports.conftest import make_outcomes, make_sweep, results_of

NAMES = ("road", "sky", "tree")
ROWS = {"base": {}, "other": {"optim.lr": 0.1}}


def data(*, test=(5, 0, 1), **changes):
    """Three classes, one of which the test split lacks unless `test` says otherwise."""
    counts = {"train": (30, 20, 10), "test": test}
    splits = tuple(
        SplitRecord(
            name=name,
            images=2,
            pixels=pixels,
            images_with=tuple(int(count > 0) for count in pixels),
            void=sum(pixels),
            sizes="4x4 (2)",
            modes="RGB (2)",
        )
        for name, pixels in counts.items()
    )
    roles = {"train": "train", "val": "test", "test": "test"}
    values = {"title": "own data", "class_names": NAMES, "roles": roles, "splits": splits, **changes}
    return DataRecord(**values)


def metrics(classes, value=0.5):
    return {"final/miou": value, "final/mean_accuracy": value, **{f"final/iou/{name}": value for name in classes}}


def table(base, other, *, columns=("final/miou",), data=(), **changes):
    sweep = make_sweep(ROWS, columns=columns, data=tuple(data), **changes)
    return build_table(results_of(sweep, make_outcomes({"base": base, "other": other})))


def texts(found):
    return [note.text for note in found.notes]


@pytest.mark.parametrize(
    ("classes", "records", "sentence"),
    [
        (NAMES, [data(test=(1, 1, 1))], "mIoU over all 3 classes."),
        (NAMES[:2], [data()], "mIoU over 2 of 3 classes."),
        (NAMES[:2], [], "mIoU over 2 classes."),
    ],
)
def test_the_caption_says_over_which_classes(classes, records, sentence):
    rows = [metrics(classes)] * 3
    assert table(rows, rows, data=records).caption.endswith(f" seeds. {sentence}")


def test_all_means_of_a_table_are_named_and_a_table_without_one_says_nothing():
    rows = [metrics(NAMES)] * 3
    found = table(rows, rows, columns=("final/miou", "final/pixel_accuracy", "final/mean_accuracy"))
    assert found.averaged == "mIoU and Mean acc. over 3 classes."
    assert table(rows, rows, columns=("final/pixel_accuracy", "cost/step_ms")).averaged == ""
    assert table([0.5] * 3, [0.5] * 3).averaged == ""  # of records that name no class


def test_rows_that_average_over_different_classes_are_named():
    """As records of before can: a class that the split lacks counted as 0 where a row predicted it."""
    found = table([metrics(NAMES[:2])] * 3, [metrics(NAMES[:2]), metrics(NAMES), metrics(NAMES[:2])], data=[data()])
    assert found.averaged == "mIoU over 2 to 3 classes, not the same in all rows."
    assert (
        "The means of the rows are over different classes, so do not compare them: 3 (other); "
        "2 without tree (base, other)."
    ) in texts(found)


def test_as_many_classes_are_not_the_same_classes():
    found = table([metrics(("road", "sky"))] * 3, [metrics(("road", "tree"))] * 3)
    assert found.averaged == "mIoU over 2 classes, not the same in all rows."
    (note,) = [text for text in texts(found) if "different classes" in text]
    assert "2 without tree (base); 2 without sky (other)" in note


def test_a_table_of_the_validation_split_counts_its_classes():
    rows = [{"val/miou": 0.5, "val/classes": 2.0, **metrics(NAMES)}] * 3
    sweep = make_sweep(ROWS, table=TableRecord(columns=("final/miou",), split="val"), data=(data(),))
    found = build_table(results_of(sweep, make_outcomes({"base": rows, "other": rows})))
    assert found.averaged == "Val mIoU over 2 of 3 classes."


def test_trials_without_a_result_say_nothing():
    assert table([None] * 3, [None] * 3, data=[data()]).averaged == ""


def test_what_bears_on_the_figures_is_a_note():
    notes = ("No label of the test split shows sky.",)
    rows = [metrics(NAMES[::2])] * 3
    assert notes[0] in texts(table(rows, rows, data=[data(notes=notes)]))
    two = table(rows, rows, data=[data(notes=notes), data(title="CamVid", roles={"test": "val"}, notes=notes)])
    assert f"CamVid: {notes[0]}" in texts(two)
    assert "The rows are scored on different splits (test, val), so do not compare them." in texts(two)


def test_tables_together_keep_what_their_means_are_over():
    first = table([metrics(NAMES)] * 3, [metrics(NAMES)] * 3, name="a")
    second = table([metrics(NAMES[:2])] * 3, [metrics(NAMES[:2])] * 3, name="b")
    found = texts(combine_tables([first, second]))
    assert "(a) mIoU over 3 classes." in found
    assert "(b) mIoU over 2 classes." in found
    assert "mIoU over 3 classes." in texts(combine_tables([first, first]))


def test_nothing_to_average_is_a_dash():
    """Seen: 0.00 where every label is void."""
    nothing = {"cost/step_ms": 1.0}
    found = table([nothing] * 3, [metrics(NAMES)] * 3)
    text = render_markdown(found)
    assert "| base | – |" in text
    assert "0.00" not in text.splitlines()[4]
    assert any("mIoU not reported (base)" in note for note in texts(found))


def test_the_page_shows_the_census():
    rows = [metrics(NAMES[::2])] * 3
    page = render_html(table(rows, rows, data=[data(findings=("no label of test shows sky",))]))
    assert "<summary>Data: own data, 3 classes</summary>" in page
    assert "<td>test</td><td>2</td><td>2 of 3</td><td>50.0%</td><td>4x4 (2)</td><td>RGB (2)</td>" in page
    assert "<tr><td>sky</td><td>33.3%</td><td>1</td><td>0.0%</td><td>0</td></tr>" in page
    assert "<li>no label of test shows sky</li>" in page
    assert "<summary>Data:" not in render_html(table(rows, rows, data=[data(splits=())]))
