"""What a trial computes (`TrainConfig`, a block a file) and what does not change its result (`Runtime`).

Importing it costs milliseconds: no torch, no third-party package. Every class is frozen and keyword-only.
A field marked `location()` says where bytes lie on this machine; a trial's identity holds the digest of those
bytes instead of the path. One marked `limit()` may forbid a trial and is no part of its identity. A field whose
default is None counts in the identity only when it is set, so a knob added later renames no trial.
"""

from __future__ import annotations

from trainer.config.contrast import AnchorConfig, ContrastConfig, MemoryConfig, MiningConfig, effective_memory
from trainer.config.data import DataConfig, SyntheticConfig
from trainer.config.evaluation import ComputeConfig, EvaluationConfig
from trainer.config.field_markers import is_outside_identity, keys_outside_identity, location_keys, setting
from trainer.config.model import BACKBONE_NAMES, PACKAGED_WEIGHTS, ModelConfig
from trainer.config.optim import LossConfig, OptimConfig, ScheduleConfig, require_class_weights_fit
from trainer.config.runtime import Runtime
from trainer.config.train import RESULT_VERSION, TrainConfig

__all__ = [
    "BACKBONE_NAMES",
    "PACKAGED_WEIGHTS",
    "RESULT_VERSION",
    "AnchorConfig",
    "ComputeConfig",
    "ContrastConfig",
    "DataConfig",
    "EvaluationConfig",
    "LossConfig",
    "MemoryConfig",
    "MiningConfig",
    "ModelConfig",
    "OptimConfig",
    "Runtime",
    "ScheduleConfig",
    "SyntheticConfig",
    "TrainConfig",
    "effective_memory",
    "is_outside_identity",
    "keys_outside_identity",
    "location_keys",
    "require_class_weights_fit",
    "setting",
]
