"""Losses against torch, against pixel-by-pixel loops, and against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import DataConfig, LossConfig, TrainConfig
from trainer.errors import TrainerError
from trainer.losses import (
    LOSSES,
    Criterion,
    Knobs,
    check_class_weights,
    cross_entropy,
    lovasz_softmax,
    ohem,
)

CLASSES = 4
CPU = torch.device("cpu")


def example(seed=0, void=0.2):
    torch.manual_seed(seed)
    logits, label = 2 * torch.randn(2, CLASSES, 5, 6), torch.randint(0, CLASSES, (2, 5, 6))
    label[torch.rand(2, 5, 6) < void] = 255
    return logits, label


def test_cross_entropy_is_torch_s_mean_over_labelled_pixels():
    logits, label = torch.randn(2, CLASSES, 5, 6), torch.randint(0, CLASSES, (2, 5, 6))
    label[0, :3] = 255
    assert torch.allclose(cross_entropy(logits, label), F.cross_entropy(logits, label, ignore_index=255))


def test_cross_entropy_without_a_labelled_pixel_is_a_differentiable_zero():
    logits = torch.randn(2, CLASSES, 5, 6, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 5, 6), 255))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not logits.grad.any()


def test_class_weights_are_those_of_torch():
    logits, label = example()
    weight = torch.tensor([1.0, 0.0, 2.5, 0.5])
    expected = F.cross_entropy(logits, label, weight, ignore_index=255)
    assert torch.allclose(cross_entropy(logits, label, weight), expected)


def test_a_batch_of_classes_without_weight_is_a_zero():
    logits, _ = example()
    assert cross_entropy(logits, torch.ones(2, 5, 6, dtype=torch.int64), torch.tensor([1.0, 0, 1, 1])) == 0


@pytest.mark.parametrize("kind", LOSSES)
def test_without_a_label_every_loss_is_a_differentiable_zero(kind):
    logits = torch.randn(2, CLASSES, 5, 6, requires_grad=True)
    loss = LOSSES[kind](logits, torch.full((2, 5, 6), 255), Knobs(weight_C=torch.ones(CLASSES)))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not logits.grad.any()


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_in_float32_and_blind_to_the_logits_of_void(kind):
    logits, label = example()
    loss = LOSSES[kind](logits, label, Knobs())
    other = torch.where((label == 255)[:, None], torch.randn_like(logits), logits)
    assert loss.dtype == LOSSES[kind](logits.bfloat16(), label, Knobs()).dtype == torch.float32
    assert torch.allclose(LOSSES[kind](other, label, Knobs()), loss)
    assert loss > 0


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_do_not_care_how_classes_and_images_are_ordered(kind):
    logits, label = example()
    order = torch.tensor([2, 0, 3, 1])
    moved = torch.where(label == 255, label, order.argsort()[label.clamp(max=CLASSES - 1)])
    loss = LOSSES[kind](logits, label, Knobs())
    assert torch.allclose(LOSSES[kind](logits[:, order], moved, Knobs()), loss)
    assert torch.allclose(LOSSES[kind](logits.flip(0), label.flip(0), Knobs()), loss)


@pytest.mark.parametrize("kind", LOSSES)
def test_deterministic_algorithms_give_the_same_loss(kind):
    logits, label = example()
    expected = LOSSES[kind](logits, label, Knobs(weight_C=torch.tensor([1.0, 2, 3, 4])))
    torch.use_deterministic_algorithms(True)
    try:
        found = LOSSES[kind](logits, label, Knobs(weight_C=torch.tensor([1.0, 2, 3, 4])))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.allclose(found, expected)


def slow_ohem(logits, label, threshold, min_kept, weights):
    """Sort the pixels by the probability of their class and take them one by one."""
    pixels = []
    for image, row, column in [(b, y, x) for b in range(2) for y in range(5) for x in range(6)]:
        name = int(label[image, row, column])
        if name != 255:
            probability = float(logits[image, :, row, column].double().softmax(dim=0)[name])
            pixels.append((probability, weights[name]))
    total = mass = 0.0
    for rank, (probability, weight) in enumerate(sorted(pixels)):
        if probability < threshold or rank < 2 * min_kept:
            total += weight * -math.log(probability)
            mass += weight
    return total / mass


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 1.0), st.integers(1, 40), st.booleans())
def test_ohem_matches_sorting_pixels(seed, threshold, min_kept, weighted):
    logits, label = example(seed)
    weights = [1.0, 0.25, 3.0, 2.0] if weighted else [1.0] * CLASSES
    knobs = Knobs(weight_C=torch.tensor(weights) if weighted else None, threshold=threshold, min_kept=min_kept)
    assert float(ohem(logits, label, knobs)) == pytest.approx(slow_ohem(logits, label, threshold, min_kept, weights))


def test_ohem_that_keeps_all_is_the_cross_entropy():
    logits, label = example()
    assert torch.equal(ohem(logits, label, Knobs(min_kept=10**9)), cross_entropy(logits, label))
    assert ohem(logits, label, Knobs(threshold=0.3, min_kept=1)) > cross_entropy(logits, label)


def jaccard_loss(truth, wrong):
    """1 - intersection over union of a class when the pixels in `wrong` are predicted wrong."""
    hits = sum(t and not w for t, w in zip(truth, wrong, strict=True))
    union = sum(t or w for t, w in zip(truth, wrong, strict=True))
    return 1 - hits / union if union else 0.0


def slow_lovasz(logits, label):
    """The Lovász extension by its definition: errors in falling order, each times the growth of the Jaccard loss."""
    pixels = [(b, y, x) for b in range(2) for y in range(5) for x in range(6) if label[b, y, x] != 255]
    losses = []
    for name in range(CLASSES):
        truth = [int(label[place]) == name for place in pixels]
        if not any(truth):
            continue
        probability = [float(logits[b, :, y, x].double().softmax(dim=0)[name]) for b, y, x in pixels]
        error = [1 - p if t else p for t, p in zip(truth, probability, strict=True)]
        wrong, loss = [False] * len(pixels), 0.0
        for place in sorted(range(len(pixels)), key=lambda place: -error[place]):
            before = jaccard_loss(truth, wrong)
            wrong[place] = True
            loss += error[place] * (jaccard_loss(truth, wrong) - before)
        losses.append(loss)
    return sum(losses) / len(losses) if losses else 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.95]))
def test_lovasz_matches_its_definition(seed, void):
    logits, label = example(seed, void)
    assert float(lovasz_softmax(logits, label)) == pytest.approx(slow_lovasz(logits, label), abs=1e-5)


def test_lovasz_of_certain_predictions_is_one_minus_miou():
    label = torch.tensor([[[0, 0, 1], [1, 1, 255]]])
    prediction = torch.tensor([[[0, 1, 1], [1, 0, 0]]])
    logits = 100.0 * F.one_hot(prediction, 3).permute(0, 3, 1, 2)
    assert float(lovasz_softmax(logits, label)) == pytest.approx(1 - (1 / 3 + 2 / 4) / 2)


@pytest.mark.parametrize("kind", ["lovasz", "ohem", "ce_lovasz"])
def test_gradients_are_those_of_finite_differences(kind):
    logits, label = example(3)
    step, direction = 1e-3, torch.randn_like(logits)
    logits.requires_grad_()
    LOSSES[kind](logits, label, Knobs(threshold=1.0)).backward()
    with torch.no_grad():
        ends = [LOSSES[kind](logits + sign * step * direction, label, Knobs(threshold=1.0)) for sign in (1, -1)]
    slope = float(ends[0] - ends[1]) / (2 * step)
    assert float((logits.grad * direction).sum()) == pytest.approx(slope, rel=0.02, abs=1e-3)


def test_the_combination_adds_up():
    logits, label = example()
    config = TrainConfig(loss=LossConfig(kind="ce_lovasz", lovasz_weight=0.3, class_weights=(1.0, 2.0, 3.0, 4.0)))
    ce = cross_entropy(logits, label, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert torch.allclose(Criterion(config, CPU)(logits, label), ce + 0.3 * lovasz_softmax(logits, label))


def test_ohem_keeps_a_sixteenth_of_the_crop_unless_told():
    data = DataConfig(crop=(64, 32))
    assert Criterion(TrainConfig(data=data, loss=LossConfig(kind="ohem")), CPU).knobs.min_kept == 128
    assert Criterion(TrainConfig(loss=LossConfig(kind="ohem", ohem_min_kept=9)), CPU).knobs.min_kept == 9


def test_one_weight_for_each_class():
    check_class_weights(LossConfig(class_weights=(1.0, 2.0)), 2)
    with pytest.raises(TrainerError, match=r"loss\.class_weights: 2 weights for 3 classes; give one for each"):
        check_class_weights(LossConfig(class_weights=(1.0, 2.0)), 3)
