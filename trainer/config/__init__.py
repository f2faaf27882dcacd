"""What a trial computes (`TrainConfig`, one file per block) and how it runs (`Runtime`).

Imports no third-party package, so it is fast to import. Every class is frozen and keyword-only. A field marked
`location()` is a path; a trial's identity has the digest of the content instead. A field marked `limit()` can refuse a
trial and is not part of the identity. A field whose default is None is part of the identity only if it is set, so a
field added later changes no trial id.
"""

from __future__ import annotations

from orchestrator.workload.fields import (
    canonical_name,
    fields_below,
    implied,
    is_outside_identity,
    location_keys,
    outside_identity_keys,
    renamed_keys,
    setting,
)
from orchestrator.workload.runtime import Runtime
from trainer.config.compute import ComputeConfig, require_compute_fits
from trainer.config.contrast import (
    AnchorConfig,
    ContrastConfig,
    MemoryConfig,
    MiningConfig,
    effective_memory,
    keys_per_class,
)
from trainer.config.data import BaseSizeConfig, DataConfig, SyntheticConfig
from trainer.config.evaluation import EvaluationConfig
from trainer.config.model import (
    AUX_KERNELS,
    BACKBONE_NAMES,
    DEEP_STEMS,
    PACKAGED_WEIGHTS,
    ModelConfig,
    ignored_options,
)
from trainer.config.optim import LossConfig, OptimConfig, ScheduleConfig, require_class_weights_fit
from trainer.config.plugin_part import PluginPart, PluginSource
from trainer.config.train import RESULT_VERSION, TrainConfig

__all__ = [
    "AUX_KERNELS",
    "BACKBONE_NAMES",
    "DEEP_STEMS",
    "PACKAGED_WEIGHTS",
    "RESULT_VERSION",
    "AnchorConfig",
    "BaseSizeConfig",
    "ComputeConfig",
    "ContrastConfig",
    "DataConfig",
    "EvaluationConfig",
    "LossConfig",
    "MemoryConfig",
    "MiningConfig",
    "ModelConfig",
    "OptimConfig",
    "PluginPart",
    "PluginSource",
    "Runtime",
    "ScheduleConfig",
    "SyntheticConfig",
    "TrainConfig",
    "canonical_name",
    "effective_memory",
    "fields_below",
    "ignored_options",
    "implied",
    "is_outside_identity",
    "keys_per_class",
    "location_keys",
    "outside_identity_keys",
    "renamed_keys",
    "require_class_weights_fit",
    "require_compute_fits",
    "setting",
]
