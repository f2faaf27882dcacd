"""Stochastic gradient descent with polynomial decay; the rate is a function of the step, so a resume needs no state."""

from __future__ import annotations

from torch.optim import SGD, Optimizer

from trainer.config import OptimConfig
from trainer.models.segmentor import Segmentor

__all__ = ["build_optimizer", "poly_rate", "set_rate"]


def build_optimizer(model: Segmentor, config: OptimConfig) -> SGD:
    """Build SGD over two groups: the backbone, and everything else at `head_lr_multiplier` times its rate."""
    backbone = list(model.backbone.parameters())
    of_backbone = set(backbone)
    rest = [parameter for parameter in model.parameters() if parameter not in of_backbone]
    groups = [
        {"params": backbone, "lr_multiplier": 1.0},
        {"params": rest, "lr_multiplier": config.head_lr_multiplier},
    ]
    return SGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, foreach=True)


def poly_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Return the backbone's learning rate at step `step` (0-based) of `steps`."""
    rate: float = config.lr * (1 - step / steps) ** config.poly_power
    return rate


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set every group's learning rate to `rate` times its multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_multiplier"]
