"""The schedule by hand, and which parameters run at which rate."""

from __future__ import annotations

import pytest

from trainer.build import build_segmentor
from trainer.config import ContrastConfig, ModelConfig, OptimConfig
from trainer.optim import build_optimizer, poly_rate, set_rate


@pytest.fixture(scope="module")
def model():
    return build_segmentor(
        ModelConfig(backbone="resnet18", head_channels=8), ContrastConfig(embedding_dim=4), classes=3, seed=0
    )


def test_poly_rate():
    config = OptimConfig(lr=0.02, poly_power=0.9)
    assert poly_rate(config, 0, 10) == 0.02
    assert poly_rate(config, 5, 10) == pytest.approx(0.02 * 0.5**0.9)
    assert poly_rate(config, 9, 10) == pytest.approx(0.02 * 0.1**0.9)
    assert poly_rate(OptimConfig(lr=0.02, poly_power=0), 9, 10) == 0.02


def test_every_parameter_in_one_group_and_heads_at_their_multiple(model):
    optimizer = build_optimizer(model, OptimConfig(lr=0.1, head_lr_multiplier=10, weight_decay=0.01, momentum=0.8))
    backbone, rest = optimizer.param_groups
    assert {id(p) for p in backbone["params"]} == {id(p) for p in model.backbone.parameters()}
    assert len(backbone["params"]) + len(rest["params"]) == len(list(model.parameters()))
    set_rate(optimizer, 0.05)
    assert (backbone["lr"], rest["lr"]) == (0.05, 0.5)
    assert all(group["weight_decay"] == 0.01 and group["momentum"] == 0.8 for group in optimizer.param_groups)
