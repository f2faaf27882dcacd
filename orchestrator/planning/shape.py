"""Shape: the part of a config that decides how much memory and time a training step takes."""

from __future__ import annotations

from orchestrator.planning.digests import json_digest
from orchestrator.planning.identity import canonical
from trainer.config import TrainConfig

__all__ = ["shape_of"]

OUTSIDE_SHAPE = (
    "contrast.temperature",
    "contrast.warmup_fraction",
    "contrast.weight",
    "data.color_jitter",
    "data.flip_probability",
    "data.scale",
    "optim.lr",
    "optim.weight_decay",
    "schedule.eval_every_steps",
    "schedule.steps",
    "seed",
)
"""Keys that change what a trial computes, but not how much memory or time a step takes."""


def shape_of(config: TrainConfig) -> str:
    """Twelve hexadecimal digits, equal for configs that need the same memory and time per step.

    The spaces after its separators are part of the digest: `costs.json` of version 0.1 has it as its key.
    """
    content = {key: value for key, value in canonical(config).items() if key not in OUTSIDE_SHAPE}
    return json_digest(content, separators=(", ", ": "))
