"""The schedule computed by hand, and the learning rates of the parameters."""

from __future__ import annotations

import pytest
import torch

from trainer.build import build_segmentor
from trainer.config import ContrastConfig, ModelConfig, OptimConfig, ScheduleConfig, TrainConfig
from trainer.optim import build_optimizer, cosine_rate, poly_rate, rate_at, set_rate


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


def test_cosine_rate():
    config = OptimConfig(lr=0.02)
    assert [cosine_rate(config, step, 4) for step in range(4)] == pytest.approx(
        [0.02, 0.0170711, 0.01, 0.0029289], abs=1e-6
    )


def test_the_warm_up_grows_to_the_policy_s_rate():
    schedule = ScheduleConfig(steps=10, policy="cosine", rate_warmup_steps=4)
    config = TrainConfig(optim=OptimConfig(lr=0.02), schedule=schedule)
    plain = [cosine_rate(config.optim, step, 10) for step in range(10)]
    expected = [plain[0] / 4, plain[1] / 2, plain[2] * 0.75, *plain[3:]]
    assert [rate_at(config, step) for step in range(10)] == pytest.approx(expected)
    assert rate_at(TrainConfig(), 7) == poly_rate(OptimConfig(), 7, 300)


def test_norms_and_biases_may_go_without_decay(model):
    optimizer = build_optimizer(model, OptimConfig(head_lr_multiplier=10, decay_norms_and_biases=False))
    decayed, free = optimizer.param_groups[:2], optimizer.param_groups[2:]
    wanted = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, torch.nn.BatchNorm2d) or name == "bias"
    }
    assert {id(p) for group in free for p in group["params"]} == wanted
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    assert [group["weight_decay"] for group in (*decayed, *free)] == [5e-4, 5e-4, 0, 0]
    assert [group["lr_multiplier"] for group in (*decayed, *free)] == [1, 10, 1, 10]


def test_a_fused_update_is_the_update_of_a_loop():
    """Two steps of SGD with momentum and weight decay, written out; a fused kernel rounds differently.

    The first parameter has no gradient in the first step, like a projection during the warm-up.
    """
    tiny = ModelConfig(backbone="timm/test_resnet", head_channels=8)
    model, plain = (build_segmentor(tiny, ContrastConfig(source="none"), classes=3, seed=0) for _ in range(2))
    config = OptimConfig(lr=0.1, head_lr_multiplier=10, weight_decay=0.01, momentum=0.8, fused=True)
    optimizer = build_optimizer(model, config)
    assert all(group["fused"] and not group["foreach"] for group in optimizer.param_groups)
    generator = torch.Generator().manual_seed(0)
    backbone = {id(parameter) for parameter in plain.backbone.parameters()}
    set_rate(optimizer, config.lr)
    momentum = [torch.zeros_like(parameter) for parameter in plain.parameters()]
    for step in range(2):
        for number, (parameter, other) in enumerate(zip(model.parameters(), plain.parameters(), strict=True)):
            if step == number == 0:
                continue
            parameter.grad = torch.empty_like(parameter).normal_(generator=generator)  # with its layout
            with torch.no_grad():
                momentum[number] = 0.8 * momentum[number] + parameter.grad + 0.01 * other
                other -= (0.1 if id(other) in backbone else 1.0) * momentum[number]
        optimizer.step()
    for parameter, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)


def test_every_parameter_in_one_group_and_heads_at_their_multiple(model):
    optimizer = build_optimizer(model, OptimConfig(lr=0.1, head_lr_multiplier=10, weight_decay=0.01, momentum=0.8))
    backbone, rest = optimizer.param_groups
    assert {id(p) for p in backbone["params"]} == {id(p) for p in model.backbone.parameters()}
    assert len(backbone["params"]) + len(rest["params"]) == len(list(model.parameters()))
    set_rate(optimizer, 0.05)
    assert (backbone["lr"], rest["lr"]) == (0.05, 0.5)
    assert all(group["weight_decay"] == 0.01 and group["momentum"] == 0.8 for group in optimizer.param_groups)
