"""Building blocks of the heads."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from trainer.models.heads.base import FeatureShape, classifier, concatenate, conv_norm_relu


def test_concatenate_brings_all_to_the_finest_map():
    fine, coarse = torch.randn(2, 3, 8, 12), torch.randn(2, 5, 4, 6)
    stacked = concatenate([fine, coarse])
    assert torch.equal(stacked[:, :3], fine)
    assert torch.equal(stacked[:, 3:], F.interpolate(coarse, scale_factor=2.0, mode="bilinear"))


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
