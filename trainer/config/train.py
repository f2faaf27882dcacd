"""`TrainConfig`: everything that determines the result of a trial."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.workload.fields import require, setting, unset_implied
from trainer.config.compute import ComputeConfig
from trainer.config.contrast import ContrastConfig, effective_contrast
from trainer.config.data import DataConfig, SyntheticConfig
from trainer.config.evaluation import EvaluationConfig, effective_evaluation
from trainer.config.model import ModelConfig, effective_model
from trainer.config.optim import LossConfig, OptimConfig, ScheduleConfig, effective_loss

__all__ = ["RESULT_VERSION", "TrainConfig"]

RESULT_VERSION = 3
"""Increased by hand whenever equal configs would give different results; part of every trial's identity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything that determines the result of a trial. Equal normalised configs are the same experiment."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    contrast: ContrastConfig = field(default_factory=ContrastConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    seed: int = 0
    """Seed of initialisation, data order, augmentation and sampling; each has its own random stream."""

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", "must not be negative")
        require(
            self.data.name == "synthetic" or self.data.root is not None or self.data.plugin is not None,
            "data.root",
            f"the data set {self.data.name!r} needs its folder; add `data.root: PATH` or `--set data.root=PATH`",
        )
        if self.model.backbone.startswith("hrnet") and self.model.backbone_plugin is None:
            require(
                all(side % 32 == 0 for side in self.data.crop),
                "data.crop",
                f"an HRNet needs sides that are multiples of 32, not {list(self.data.crop)}",
            )

        require(
            not self.compute.cuda_graphs or setting(self.schedule, "accumulation_steps") == 1,
            "compute.cuda_graphs",
            "not with gradient accumulation; set it to false, or schedule.accumulation_steps to 1",
        )

    def normalised(self) -> TrainConfig:
        """The same computation with every field that has no effect reset to its default.

        So a baseline without contrast is a single trial, whatever its temperature in a grid. The memory is used by
        `inter_image` only, since `intra_image` takes keys from the anchor's own image.
        """
        if self.data.name == "synthetic":
            data = replace(self.data, root=None, classes=None)
        else:
            classes = self.data.classes if self.data.name == "folder" else None
            data = replace(self.data, classes=classes, synthetic=SyntheticConfig())
        schedule, optim = unset_implied(self.schedule), unset_implied(self.optim)
        if schedule.policy == "cosine":
            optim = replace(optim, poly_power=OptimConfig().poly_power)
        return replace(
            self,
            data=data,
            contrast=effective_contrast(self.contrast),
            model=effective_model(self.model),
            loss=effective_loss(self.loss),
            optim=optim,
            schedule=schedule,
            evaluation=effective_evaluation(self.evaluation),
            compute=unset_implied(self.compute),
        )
