"""The supervised loss, the optimiser and the schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator.workload.fields import optional, require, setting, unset_implied
from trainer.config.plugin_part import PluginPart, plugin_part

__all__ = ["LossConfig", "OptimConfig", "ScheduleConfig", "effective_loss", "require_class_weights_fit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """The supervised loss of main and auxiliary logits; the contrastive loss is added to it."""

    kind: Literal["ce", "ohem", "lovasz", "ce_lovasz"] | None = optional("ce")
    """A key of `trainer.losses.LOSSES`: cross-entropy, cross-entropy of hard pixels only, Lovász-softmax, or
    cross-entropy plus Lovász-softmax."""
    class_weights: tuple[float, ...] | None = None
    """Weights of the classes in the cross-entropy; not set: all equal."""
    ohem_threshold: float | None = optional(0.7)
    """`ohem` keeps pixels whose true class has a lower probability, and at least `ohem_min_kept`."""
    ohem_min_kept: int | None = None
    """Minimum number of pixels per image that `ohem` keeps, the hardest first; not set: one sixteenth of the crop."""
    lovasz_weight: float | None = optional(1.0)
    """Factor of the Lovász term of `ce_lovasz`."""
    plugin: PluginPart | None = plugin_part("LOSSES", "kind")

    def __post_init__(self) -> None:
        weights = self.class_weights
        legal = weights is None or (len(weights) > 0 and min(weights) >= 0 and max(weights) > 0)
        require(legal, "loss.class_weights", "must not be negative, and not all zero")
        require(0 < setting(self, "ohem_threshold") <= 1, "loss.ohem_threshold", "must be in (0, 1]")
        kept = self.ohem_min_kept
        require(kept is None or kept >= 1, "loss.ohem_min_kept", "must be at least 1")
        require(setting(self, "lovasz_weight") > 0, "loss.lovasz_weight", "must be positive")


def require_class_weights_fit(loss: LossConfig, classes: int) -> None:
    """Raise ValueError unless there is one class weight per class; needs no torch, because planning uses it."""
    given = classes if loss.class_weights is None else len(loss.class_weights)
    require(given == classes, "loss.class_weights", f"{given} weights for {classes} classes; give one for each")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """Stochastic gradient descent with a decaying learning rate (`ScheduleConfig.policy`)."""

    lr: float = 0.01
    """Learning rate at step 0."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    poly_power: float = 0.9
    """Policy `poly`: the rate at step s of S is lr * (1 - s / S) ** poly_power."""
    head_lr_multiplier: float = 1.0
    """Factor on the learning rate of everything except the backbone."""
    decay_norms_and_biases: bool | None = optional(True)
    """Whether norms and biases have weight decay."""
    clip_norm: float | None = None
    """Maximum Euclidean norm of the gradient over all parameters; not set: no clipping."""
    ema_decay: float | None = None
    """Evaluate an exponential moving average of the weights with this decay per step; not set: the last weights."""
    fused: bool | None = optional(False)
    """Whether one kernel updates all weights (torch's fused SGD); it rounds differently."""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optim.lr", "must be positive")
        require(0 <= self.momentum < 1, "optim.momentum", "must be in [0, 1)")
        require(self.weight_decay >= 0, "optim.weight_decay", "must not be negative")
        require(self.poly_power >= 0, "optim.poly_power", "must not be negative")
        require(self.head_lr_multiplier > 0, "optim.head_lr_multiplier", "must be positive")
        require(self.clip_norm is None or self.clip_norm > 0, "optim.clip_norm", "must be positive")
        require(self.ema_decay is None or 0 < self.ema_decay < 1, "optim.ema_decay", "must be between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    """Number of steps, batch size and learning-rate policy."""

    steps: int = 300
    """Optimiser steps."""
    batch_size: int = 8
    """Images per step, over all ranks."""
    eval_every_steps: int = 100
    """Steps between evaluations on the val split; the last step is always evaluated."""
    policy: Literal["poly", "cosine"] | None = optional("poly")
    """How the learning rate decays to zero: polynomial or half a cosine."""
    rate_warmup_steps: int | None = optional(0)
    """Steps of linear learning-rate warm-up."""
    accumulation_steps: int | None = optional(1, canonical="portions")
    """Gradient accumulation: number of micro-batches that a batch is split into to save memory."""

    def __post_init__(self) -> None:
        require(self.steps >= 1, "schedule.steps", "must be at least 1")
        require(self.batch_size >= 2, "schedule.batch_size", "must be at least 2 (batch normalisation)")
        require(self.eval_every_steps >= 1, "schedule.eval_every_steps", "must be at least 1")
        require(setting(self, "rate_warmup_steps") >= 0, "schedule.rate_warmup_steps", "must not be negative")
        parts = setting(self, "accumulation_steps")
        require(parts >= 1, "schedule.accumulation_steps", "must be at least 1")
        require(
            parts == 1 or (self.batch_size % parts == 0 and self.batch_size // parts >= 2),
            "schedule.accumulation_steps",
            f"must split a batch of {self.batch_size} into equal parts of at least 2 images (batch normalisation)",
        )


def effective_loss(loss: LossConfig) -> LossConfig:
    """`loss` without the fields that its kind does not use, and without class weights that are all 1."""
    idle: dict[str, Any] = {}
    if loss.kind != "ohem":
        idle |= {"ohem_threshold": None, "ohem_min_kept": None}
    if loss.kind != "ce_lovasz":
        idle |= {"lovasz_weight": None}
    if loss.kind == "lovasz" or (loss.class_weights is not None and set(loss.class_weights) == {1.0}):
        idle |= {"class_weights": None}
    effective: LossConfig = unset_implied(replace(loss, **idle))
    return effective
