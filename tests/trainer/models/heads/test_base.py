"""Building blocks of the heads."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from trainer.config import ModelConfig
from trainer.models.heads.base import FeatureShape, classifier, concatenate, conv_norm_relu, hidden_classifier


def test_concatenate_brings_all_to_the_finest_map():
    fine, coarse = torch.randn(2, 3, 8, 12), torch.randn(2, 5, 4, 6)
    stacked = concatenate([fine, coarse])
    assert torch.equal(stacked[:, :3], fine)
    assert torch.equal(stacked[:, 3:], F.interpolate(coarse, scale_factor=2.0, mode="bilinear"))


def bilinear(row: list[float], size: int, *, align_corners: bool) -> list[float]:
    """A row of pixels resized to `size`, as the documentation of `align_corners` says."""
    values = []
    for target in range(size):
        if align_corners:
            place = target * (len(row) - 1) / (size - 1)
        else:
            place = min(max((target + 0.5) * len(row) / size - 0.5, 0), len(row) - 1)
        left = min(int(place), len(row) - 2)
        values.append(row[left] + (place - left) * (row[left + 1] - row[left]))
    return values


@pytest.mark.parametrize("align_corners", [False, True])
def test_maps_are_resized_with_or_without_aligned_corners(align_corners):
    row = [1.0, 4.0, 2.0]
    shape = FeatureShape(channels=(1, 1), strides=(4, 8), parallel=True, align_corners=align_corners)
    coarse = torch.tensor(row).expand(1, 1, 3, 3)
    resized = shape.concatenated([torch.zeros(1, 1, 3, 7), coarse])[0, 1, 1].tolist()
    assert resized == pytest.approx(bilinear(row, 7, align_corners=align_corners), abs=1e-6)


def test_a_classifier_without_relu_sees_negative_values_and_without_bias_has_none():
    torch.manual_seed(0)
    feature = torch.randn(2, 6, 4, 4)
    config = ModelConfig(head_channels=8, dropout=0.0, classifier_relu=False, classifier_bias=False)
    head = hidden_classifier(6, 3, config, kernel=3)
    hidden = head[0](feature)
    assert hidden.min() < 0
    weight = head[-1].weight[:, :, 0, 0]
    by_hand = torch.stack([(hidden * weight[c, :, None, None]).sum(dim=1) for c in range(3)], dim=1)
    assert torch.allclose(head(feature), by_hand, atol=1e-6)
    with_relu = hidden_classifier(6, 3, ModelConfig(head_channels=8, dropout=0.0), kernel=3)
    assert with_relu[0](feature).min() == 0
    assert with_relu[-1].bias.shape == (3,)
    assert sorted(with_relu.state_dict()) == sorted([*head.state_dict(), "2.bias"])


def test_representation_is_the_last_map_or_all_branches():
    features = [torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)]
    serial, parallel = (FeatureShape(channels=(2, 3), strides=(4, 8), parallel=flag) for flag in (False, True))
    assert serial.representation(features) is features[1]
    assert parallel.representation(features).shape == (1, 5, 8, 8)


def test_a_classifier_starts_near_the_uniform_distribution():
    torch.manual_seed(0)
    logits = classifier(64, 11)(torch.rand(2, 64, 6, 6))
    loss = F.cross_entropy(logits, torch.randint(0, 11, (2, 6, 6)))
    assert abs(float(loss.detach()) - math.log(11)) < 0.05


def test_convolutions_keep_the_size_at_any_dilation():
    assert conv_norm_relu(3, 4, kernel=3, dilation=36)(torch.randn(2, 3, 6, 8)).shape == (2, 4, 6, 8)
