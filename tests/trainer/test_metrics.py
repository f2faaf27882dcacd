"""Scores compared with counting pixel by pixel, and with values computed by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.metrics import confusion, score


def slow_scores(label: list[int], prediction: list[int], classes: int) -> tuple[float, float, float]:
    pairs = [(t, p) for t, p in zip(label, prediction, strict=True) if t != 255]
    ious, accuracies = [], []
    for k in range(classes):
        hit = sum(t == k and p == k for t, p in pairs)
        union = sum(t == k or p == k for t, p in pairs)
        truth = sum(t == k for t, _ in pairs)
        if truth:
            ious.append(hit / union)
            accuracies.append(hit / truth)
    right = sum(t == p for t, p in pairs) / len(pairs) if pairs else None
    return (sum(ious) / len(ious), right, sum(accuracies) / len(accuracies)) if pairs else (None, None, None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 255]), st.integers(0, 3)), min_size=1, max_size=40))
def test_scores_match_counting(pairs):
    label, prediction = (list(side) for side in zip(*pairs, strict=True))
    scores = score(confusion(torch.tensor(label), torch.tensor(prediction), 4))
    expected = slow_scores(label, prediction, 4)
    assert (scores.miou, scores.pixel_accuracy, scores.mean_accuracy) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("classes", [2, 19])
def test_scores_match_an_independent_library(seed, classes):
    sklearn = pytest.importorskip("sklearn.metrics")
    torch.manual_seed(seed)
    label, guess = torch.randint(0, classes, (2, 40, 50)), torch.randint(0, classes, (2, 40, 50))
    prediction = torch.where(torch.rand(2, 40, 50) < seed / 8, label, guess)
    label[torch.rand(2, 40, 50) < 0.1] = 255
    if seed % 2:  # a class that is predicted and never true
        label[label == 1] = 0
    kept = label != 255
    truth, found = label[kept].numpy(), prediction[kept].numpy()
    matrix = confusion(label, prediction, classes)
    scores = score(matrix)
    present = sorted(set(truth.tolist()))
    iou = sklearn.jaccard_score(truth, found, labels=present, average=None, zero_division=0)
    recall = sklearn.recall_score(truth, found, labels=present, average="macro")
    assert matrix.tolist() == sklearn.confusion_matrix(truth, found, labels=range(classes)).tolist()
    assert tuple(value for value in scores.iou if value is not None) == pytest.approx(tuple(iou))
    assert [index for index, value in enumerate(scores.iou) if value is not None] == present
    assert scores.miou == pytest.approx(iou.mean())
    assert scores.pixel_accuracy == pytest.approx(sklearn.accuracy_score(truth, found))
    assert scores.mean_accuracy == pytest.approx(recall)


def test_by_hand():
    label = torch.tensor([[0, 0, 1], [1, 1, 255]])
    prediction = torch.tensor([[0, 1, 1], [1, 0, 0]])
    matrix = confusion(label, prediction, 3)
    assert matrix.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    scores = score(matrix)
    assert scores.iou == pytest.approx((1 / 3, 2 / 4, None))
    assert scores.miou == pytest.approx((1 / 3 + 1 / 2) / 2)  # class 2 occurs nowhere and is left out
    assert scores.pixel_accuracy == pytest.approx(3 / 5)
    assert scores.mean_accuracy == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_rows_average_over_the_same_classes_whatever_they_predict():
    """Class 2 is not in the truth. A row that predicts it loses in the classes that its pixels have, and once."""
    label = torch.tensor([0, 0, 1, 1])
    never, once = (score(confusion(label, torch.tensor(found), 3)) for found in ([0, 0, 1, 0], [0, 0, 1, 2]))
    assert (never.iou, once.iou) == ((pytest.approx(2 / 3), 0.5, None), (1.0, 0.5, None))
    assert (never.miou, once.miou) == (pytest.approx((2 / 3 + 1 / 2) / 2), 0.75)
    assert never.figures["classes"] == once.figures["classes"] == 2.0


def test_matrices_of_batches_add_up():
    label, prediction = torch.randint(0, 5, (2, 8, 6)), torch.randint(0, 5, (2, 8, 6))
    parts = confusion(label[0], prediction[0], 5) + confusion(label[1], prediction[1], 5)
    assert torch.equal(parts, confusion(label, prediction, 5))


def test_nothing_labelled_is_nothing_to_average():
    scores = score(confusion(torch.full((4,), 255), torch.zeros(4, dtype=torch.int64), 2))
    assert (scores.miou, scores.pixel_accuracy, scores.mean_accuracy) == (None, None, None)
    assert scores.iou == (None, None)
    assert scores.figures == {}


def test_label_out_of_range():
    with pytest.raises(IndexError, match="out of range"):
        confusion(torch.tensor([3]), torch.tensor([0]), 3)
