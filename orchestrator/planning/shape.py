"""Shape: what of a config decides how much memory and time a step takes."""

from __future__ import annotations

import hashlib
import json

from orchestrator.planning.identity import canonical
from trainer.config import TrainConfig

__all__ = ["shape_of"]

WITHOUT_MEMORY = (
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
"""Keys that change what is computed, but not how much memory or time a step takes."""


def shape_of(config: TrainConfig) -> str:
    """Twelve hexadecimal digits, equal for configs that need the same memory and time per step."""
    content = {key: value for key, value in canonical(config).items() if key not in WITHOUT_MEMORY}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
