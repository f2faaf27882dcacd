"""The words of a table name its metrics and rows; for any other word the nearest few names are suggested."""

from __future__ import annotations

import pytest

from orchestrator.errors import StoreError
from reports.tables.metric_words import SUGGESTED, find_metric, find_row
from tests.reports.conftest import make_outcomes, make_sweep, results_of


@pytest.fixture
def results():
    """A row whose trials report what those of the trainer do, or nearly."""
    names = [f"contrast/{name}" for name in ("anchors", "alignment", "positives", "negatives", "purity", "loss")]
    names += ["final/miou", "val/miou", "val/best_miou", "final/pixel_accuracy", "cost/train_minutes", "my_metric"]
    names += [f"final/iou/{name}" for name in ("sky", "road", "pole", "tree")]
    metrics = dict.fromkeys(names, 0.5)
    sweep = make_sweep({"w/o contrast": {}, "Pixel memory": {}}, columns=("final/miou", "cost/train_minutes"))
    return results_of(sweep, make_outcomes({"w/o contrast": [metrics] * 3, "Pixel memory": [metrics] * 3}))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("final/miou", "final/miou"),
        ("mIoU", "final/miou"),
        ("mIoU (%)", "final/miou"),
        ("mIoU (%) ↑", "final/miou"),
        ("MIOU", "final/miou"),
        ("Val mIoU", "val/miou"),
        ("Best val mIoU", "val/best_miou"),
        ("Pixel acc.", "final/pixel_accuracy"),
        ("pixel_accuracy", "final/pixel_accuracy"),
        ("Train", "cost/train_minutes"),
        ("IoU road", "final/iou/road"),
        ("final/iou/sky", "final/iou/sky"),
        ("my_metric", "my_metric"),
        ("cost/gpu_hours", "cost/gpu_hours"),
    ],
)
def test_words_of_the_table(results, word, name):
    assert find_metric(results, word) == name


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mIoUs", "did you mean 'final/miou' (mIoU) or "),
        ("pixel accurracy", "did you mean 'final/pixel_accuracy' (Pixel acc.)"),
        ("final/iou/rode", "did you mean 'final/iou/road' (IoU road)"),
        ("xyzzy", "choose 'final/miou' (mIoU), "),
    ],
)
def test_for_another_word_the_nearest_few(results, word, message):
    with pytest.raises(StoreError) as caught:
        find_metric(results, word)
    text = str(caught.value)
    assert f"no metric {word!r}; {message}" in text
    assert text.count("'") <= 2 + 2 + 2 * SUGGESTED, "not a list of all"


def test_nothing_has_to_have_run(results):
    planned = results_of(results.sweep, {})
    assert find_metric(planned, "mIoU") == "final/miou"
    assert find_metric(planned, "final/iou/sky") == "final/iou/sky"
    with pytest.raises(StoreError, match="did you mean 'final/miou'"):
        find_metric(planned, "final/mio")


def test_rows_in_any_case(results):
    assert find_row(results.sweep, "pixel memory") == "Pixel memory"
    with pytest.raises(StoreError, match=r"no row 'pixle memry'; did you mean 'Pixel memory'\?"):
        find_row(results.sweep, "pixle memry")
    many = make_sweep({f"row {number}": {} for number in range(100)})
    with pytest.raises(StoreError, match=r"choose 'row 0', 'row 1', 'row 2' or one of 97 others$"):
        find_row(many, "zzzzz")
