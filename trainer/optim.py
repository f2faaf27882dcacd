"""Stochastic gradient descent. The learning rate is a function of the step, so a resume needs no scheduler state."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import SGD, Optimizer

from trainer.config import OptimConfig, TrainConfig, setting
from trainer.models.segmentor import Segmentor

__all__ = ["build_optimizer", "cosine_rate", "poly_rate", "rate_at", "set_rate"]


def build_optimizer(model: Segmentor, config: OptimConfig) -> SGD:
    """Build SGD over two groups: the backbone, and everything else at `head_lr_multiplier` times the learning rate.

    Without `decay_norms_and_biases` there are two more groups without weight decay, for parameters of at most one
    dimension: scales and shifts of norms, and biases.
    """
    backbone = list(model.backbone.parameters())
    of_backbone = set(backbone)
    rest = [parameter for parameter in model.parameters() if parameter not in of_backbone]
    groups: list[dict[str, Any]] = [
        {"params": backbone, "lr_multiplier": 1.0},
        {"params": rest, "lr_multiplier": config.head_lr_multiplier},
    ]
    if not setting(config, "decay_norms_and_biases"):
        no_decay = [
            {**group, "params": [p for p in group["params"] if p.ndim <= 1], "weight_decay": 0.0} for group in groups
        ]
        groups = [{**group, "params": [p for p in group["params"] if p.ndim > 1]} for group in groups] + no_decay
    fused: bool = setting(config, "fused")
    optimizer = SGD(
        groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, foreach=not fused, fused=fused
    )
    if fused and config.momentum > 0:
        # torch's fused kernel needs the momentum of all parameters or of none, but the projection has no gradient
        # during the warm-up. From zeros, the first update is that of torch without momentum.
        for parameter in model.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def rate_at(config: TrainConfig, step: int) -> float:
    """Learning rate of the backbone at step `step` (0-based): the policy's, times (s + 1) / W during the warm-up."""
    policy: str = setting(config.schedule, "policy")
    rate = RATE_POLICIES[policy](config.optim, step, config.schedule.steps)
    warmup: int = setting(config.schedule, "rate_warmup_steps")
    return rate if step >= warmup else rate * (step + 1) / warmup


def poly_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Lr * (1 - s / S) ** poly_power at step `step` (0-based) of `steps`."""
    rate: float = config.lr * (1 - step / steps) ** config.poly_power
    return rate


def cosine_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Lr * (1 + cos(pi * s / S)) / 2 at step `step` (0-based) of `steps` (Loshchilov and Hutter 2017)."""
    return config.lr * (1 + math.cos(math.pi * step / steps)) / 2


RATE_POLICIES = {"poly": poly_rate, "cosine": cosine_rate}
"""The values of `schedule.policy`."""


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set every group's learning rate to `rate` times its multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_multiplier"]
