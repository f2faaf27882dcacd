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
        if union:
            ious.append(hit / union)
        if truth:
            accuracies.append(hit / truth)
    right = sum(t == p for t, p in pairs) / len(pairs) if pairs else 0.0
    return sum(ious) / len(ious) if ious else 0.0, right, sum(accuracies) / len(accuracies) if accuracies else 0.0


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
    iou = sklearn.jaccard_score(truth, found, labels=range(classes), average=None, zero_division=0)
    recall = sklearn.recall_score(truth, found, labels=sorted(set(truth.tolist())), average="macro")
    assert matrix.tolist() == sklearn.confusion_matrix(truth, found, labels=range(classes)).tolist()
    assert scores.iou == pytest.approx(tuple(iou))
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


def test_a_class_predicted_but_absent_counts_as_zero():
    scores = score(confusion(torch.tensor([0, 0]), torch.tensor([0, 1]), 2))
    assert scores.iou == (0.5, 0.0)
    assert scores.miou == 0.25


def test_matrices_of_batches_add_up():
    label, prediction = torch.randint(0, 5, (2, 8, 6)), torch.randint(0, 5, (2, 8, 6))
    parts = confusion(label[0], prediction[0], 5) + confusion(label[1], prediction[1], 5)
    assert torch.equal(parts, confusion(label, prediction, 5))


def test_nothing_labelled():
    scores = score(confusion(torch.full((4,), 255), torch.zeros(4, dtype=torch.int64), 2))
    assert (scores.miou, scores.pixel_accuracy, scores.iou) == (0.0, 0.0, (None, None))


def test_label_out_of_range():
    with pytest.raises(ValueError, match=r"0\.\.2"):
        confusion(torch.tensor([3]), torch.tensor([0]), 3)
