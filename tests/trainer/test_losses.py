"""Losses against the contract (slow references), against torch, and against values computed by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import DataConfig, LossConfig, TrainConfig
from trainer.data import open_source
from trainer.errors import TrainerError
from trainer.losses import (
    LOSSES,
    Criterion,
    LossSettings,
    cross_entropy,
    lovasz_softmax,
    ohem,
)
from trainer.testing.loss import ORACLES, WEIGHTS, LossContract, example
from trainer.training_state import TrainingState

CPU = torch.device("cpu")


class TestLosses(LossContract):
    @pytest.fixture(params=LOSSES)
    def kind(self, request):
        return request.param


def test_every_loss_has_its_oracle():
    assert set(ORACLES) == set(LOSSES)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(LOSSES)), st.integers(0, 10**6), st.floats(0.01, 1.0), st.integers(1, 40), st.booleans())
def test_losses_equal_their_oracles_over_random_cases(kind, seed, threshold, min_kept, weighted):
    logits, label = example(seed)
    weight_C = torch.tensor(WEIGHTS) if weighted else None
    settings = LossSettings(weight_C=weight_C, threshold=threshold, min_kept=min_kept)
    assert float(LOSSES[kind].code(logits, label, settings)) == pytest.approx(
        ORACLES[kind](logits, label, settings), abs=1e-5
    )


def test_cross_entropy_is_torch_s_mean_over_labelled_pixels():
    logits, label = example()
    assert torch.allclose(cross_entropy(logits, label), F.cross_entropy(logits, label, ignore_index=255))


def test_class_weights_are_those_of_torch():
    logits, label = example()
    weight = torch.tensor([1.0, 0.0, 2.5, 0.5])
    expected = F.cross_entropy(logits, label, weight, ignore_index=255)
    assert torch.allclose(cross_entropy(logits, label, weight), expected)


def test_a_batch_of_classes_without_weight_is_a_zero():
    logits, _ = example()
    assert cross_entropy(logits, torch.ones(2, 5, 6, dtype=torch.int64), torch.tensor([1.0, 0, 1, 1])) == 0


def test_ohem_that_keeps_all_is_the_cross_entropy():
    logits, label = example()
    assert torch.equal(ohem(logits, label, LossSettings(min_kept=10**9)), cross_entropy(logits, label))
    assert ohem(logits, label, LossSettings(threshold=0.3, min_kept=1)) > cross_entropy(logits, label)


def test_lovasz_of_certain_predictions_is_one_minus_miou():
    label = torch.tensor([[[0, 0, 1], [1, 1, 255]]])
    prediction = torch.tensor([[[0, 1, 1], [1, 0, 0]]])
    logits = 100.0 * F.one_hot(prediction, 3).permute(0, 3, 1, 2)
    assert float(lovasz_softmax(logits, label)) == pytest.approx(1 - (1 / 3 + 2 / 4) / 2)


def test_the_combination_adds_up():
    logits, label = example()
    config = TrainConfig(loss=LossConfig(kind="ce_lovasz", lovasz_weight=0.3, class_weights=(1.0, 2.0, 3.0, 4.0)))
    ce = cross_entropy(logits, label, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert torch.allclose(Criterion(config, CPU)(logits, label), ce + 0.3 * lovasz_softmax(logits, label))


def test_ohem_keeps_a_sixteenth_of_the_crop_unless_told():
    data = DataConfig(crop=(64, 32))
    assert Criterion(TrainConfig(data=data, loss=LossConfig(kind="ohem")), CPU).settings.min_kept == 128
    assert Criterion(TrainConfig(loss=LossConfig(kind="ohem", ohem_min_kept=9)), CPU).settings.min_kept == 9


def test_one_weight_for_each_class():
    config = TrainConfig(loss=LossConfig(class_weights=(1.0, 2.0)))
    with pytest.raises(TrainerError, match=r"loss\.class_weights: 2 weights for 11 classes; give one for each"):
        TrainingState.start(config, open_source(config.data), CPU)
