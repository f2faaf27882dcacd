"""Dilations of the pyramid, the image mean, and the auxiliary branch."""

from __future__ import annotations

import pytest
import torch

from trainer.config import ModelConfig
from trainer.models.heads.base import FeatureShape
from trainer.models.heads.deeplabv3 import DeepLabV3Head, Pyramid


@pytest.mark.parametrize(("stride", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])])
def test_rates_follow_the_output_stride(stride, rates):
    shape = FeatureShape(channels=(4, 6), strides=(4, stride), parallel=False)
    head = DeepLabV3Head(shape, 3, ModelConfig(head="deeplabv3", head_channels=8, dropout=0.0))
    dilations = [view[0].dilation for view in head.pyramid.views]
    assert dilations == [(1, 1), *((rate, rate) for rate in rates)]


def test_every_pixel_sees_the_mean_of_the_image():
    pyramid = Pyramid(4, 8, [1]).eval()
    feature = torch.zeros(1, 4, 9, 9)
    other = feature.clone()
    other[:, :, 8, 8] = 100.0
    with torch.inference_mode():
        assert not torch.equal(pyramid(feature)[..., 0, 0], pyramid(other)[..., 0, 0])


def test_auxiliary_logits_come_from_the_stage_before_and_in_training_only():
    shape = FeatureShape(channels=(4, 6, 8), strides=(4, 8, 16), parallel=False)
    head = DeepLabV3Head(shape, 3, ModelConfig(head="deeplabv3", head_channels=8, dropout=0.0))
    features = [torch.randn(2, 4, 16, 16), torch.randn(2, 6, 8, 8, requires_grad=True), torch.randn(2, 8, 4, 4)]
    output = head(features)
    assert output.aux_BChw.shape == (2, 3, 8, 8)
    assert output.tap_BEhw is features[-1]
    output.aux_BChw.sum().backward()
    assert features[1].grad is not None
    assert head.eval()(features).aux_BChw is None
