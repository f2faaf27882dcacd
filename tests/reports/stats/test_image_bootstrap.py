"""The bootstrap over test images: scores by hand, agreement with a loop, standard errors that new test sets confirm."""

import numpy as np
import pytest
import torch

from reports.stats.image_bootstrap import (
    RESAMPLES,
    class_iou,
    draws,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
    resampled,
    standard_error,
)
from trainer.metrics import confusion, score


def random_counts(generator, images, classes=4):
    """Correct, labelled and predicted pixels of consistent size."""
    correct_NC = generator.integers(0, 50, (images, classes))
    return np.stack(
        [correct_NC, correct_NC + generator.integers(0, 30, (images, classes)), correct_NC + 9], axis=-1
    ).astype(np.int64)


def test_scores_by_hand():
    count_CK = np.array([[6, 10, 8], [1, 4, 2], [0, 0, 3]])  # the third class is not labelled
    assert class_iou(count_CK)[:2] == pytest.approx([6 / 12, 1 / 5])
    assert np.isnan(class_iou(count_CK)[2])
    assert mean_iou(count_CK) == pytest.approx((6 / 12 + 1 / 5) / 2)
    assert mean_accuracy(count_CK) == pytest.approx((6 / 10 + 1 / 4) / 2)
    assert pixel_accuracy(count_CK) == pytest.approx(7 / 14)
    assert np.isnan(mean_iou(np.zeros((3, 3))))


def test_the_scores_are_those_of_the_trainer():
    generator = torch.Generator().manual_seed(0)
    label, prediction = (torch.randint(0, 5, (7, 40), generator=generator) for _ in range(2))
    label[label == 4] = 255
    matrix = confusion(label, prediction, 5)
    count_CK = np.stack([matrix.diag(), matrix.sum(dim=1), matrix.sum(dim=0)], axis=-1)
    scores = score(matrix)
    assert mean_iou(count_CK) == pytest.approx(scores.miou)
    assert mean_accuracy(count_CK) == pytest.approx(scores.mean_accuracy)
    assert pixel_accuracy(count_CK) == pytest.approx(scores.pixel_accuracy)


def test_resamples_equal_a_loop_over_drawn_images():
    count_NCK = random_counts(np.random.default_rng(1), 6)
    found = resampled(count_NCK, {"miou": mean_iou, "accuracy": pixel_accuracy})
    assert found["miou"].shape == (RESAMPLES,)
    for number in (0, 17, 999):
        drawn = np.repeat(np.arange(6), draws(6)[number].astype(int))
        assert len(drawn) == 6
        assert found["miou"][number] == pytest.approx(mean_iou(count_NCK[drawn].sum(axis=0)))
        assert found["accuracy"][number] == pytest.approx(pixel_accuracy(count_NCK[drawn].sum(axis=0)))


def test_the_standard_error_is_the_spread_over_other_test_sets():
    """Two networks on images of varying difficulty: the paired bootstrap of one set against 400 drawn sets."""

    def counts(generator):
        hard_N1 = generator.uniform(0.2, 0.9, (60, 1))  # how hard an image is for both
        labelled_NC = generator.integers(50, 200, (60, 4))
        pair = []
        for skill in (1.0, 0.95):
            share_NC = np.clip(hard_N1 * skill + generator.normal(0, 0.05, (60, 4)), 0, 1)
            pair.append(np.stack([labelled_NC * share_NC, labelled_NC, labelled_NC], axis=-1).round().astype(np.int64))
        return pair

    differences, errors, alone = [], [], []
    for seed in range(400):
        first, second = counts(np.random.default_rng(seed))
        differences.append(mean_iou(first.sum(axis=0)) - mean_iou(second.sum(axis=0)))
        if seed < 40:
            one, other = (resampled(count, {"miou": mean_iou})["miou"] for count in (first, second))
            errors.append(standard_error(one - other))
            alone.append(standard_error(one))
    assert np.mean(errors) == pytest.approx(np.std(differences, ddof=1), rel=0.12)
    assert np.mean(alone) > 2 * np.mean(errors), "unpaired it would be far larger"
