"""The HRNet head classifies the concatenation at stride 4."""

from __future__ import annotations

import torch

from trainer.config import ModelConfig
from trainer.models.heads.base import FeatureShape, concatenate
from trainer.models.heads.hrnet import HRNetHead


def test_tap_and_logits():
    shape = FeatureShape(channels=(4, 6, 8), strides=(4, 8, 16), parallel=True)
    head = HRNetHead(shape, 3, ModelConfig(head="hrnet", head_channels=8, dropout=0.0))
    features = [torch.randn(2, 4, 16, 16), torch.randn(2, 6, 8, 8), torch.randn(2, 8, 4, 4)]
    output = head(features)
    assert torch.equal(output.tap_BEhw, concatenate(features))
    assert head.tap_channels == 18
    assert output.logits_BChw.shape == (2, 3, 16, 16)
    assert output.aux_BChw is None
