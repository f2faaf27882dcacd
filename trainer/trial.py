"""A trial while it is trained: its modules, how far it is, and what it has measured."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.build import build_contrast, build_segmentor
from trainer.checkpoint import Checkpoint, Checkpoints, fingerprint
from trainer.config import TrainConfig
from trainer.contrast.module import PixelContrast
from trainer.data.base import Source
from trainer.evaluate import evaluate
from trainer.metrics import Scores
from trainer.models.segmentor import Segmentor
from trainer.optim import build_optimizer, poly_rate

__all__ = ["Trial"]


@dataclass(kw_only=True, slots=True)
class Trial:
    """What changes while a trial is trained, and what it is trained on."""

    config: TrainConfig
    source: Source
    device: torch.device
    model: Segmentor
    contrast: PixelContrast | None
    optimizer: Optimizer
    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Time spent training, over all attempts; evaluation and checkpoints are not counted."""
    best_miou: float = -1.0
    metrics: dict[str, float] = field(default_factory=dict)
    """Last value of each `val/...` and `contrast/...` metric."""
    validated: Scores | None = None
    """Scores of the last weights on the val split, once this process has measured them."""
    started: float = 0.0
    """Reading of the clock when it was last resumed."""

    @classmethod
    def start(cls, config: TrainConfig, source: Source, device: torch.device) -> Trial:
        """Build the trial at step 0."""
        classes = len(source.class_names)
        with_contrast = config.contrast.source != "none"
        model = build_segmentor(config.model, config.contrast, classes=classes, seed=config.seed)
        model.to(device)
        contrast = build_contrast(config.contrast, classes).to(device) if with_contrast else None
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        return cls(
            config=config,
            source=source,
            device=device,
            model=model,
            contrast=contrast,
            optimizer=build_optimizer(model, config.optim),
        )

    def restore(self, found: Checkpoint) -> None:
        """Go back to the state a checkpoint holds."""
        self.model.load_state_dict(found.model)
        if found.optimizer is not None:
            self.optimizer.load_state_dict(dict(found.optimizer))
        if self.contrast is not None and found.contrast is not None:
            self.contrast.load_state_dict(found.contrast)
        self.step, self.seconds, self.best_miou = found.step, found.seconds, found.best_miou
        self.metrics = dict(found.metrics)

    def checkpoint(self) -> Checkpoint:
        """Return the state as it is; a finished trial keeps its weights alone."""
        finished = self.step == self.config.schedule.steps
        return Checkpoint(
            config=fingerprint(self.config),
            step=self.step,
            seconds=self.seconds,
            best_miou=self.best_miou,
            metrics=self.metrics,
            model=self.model.state_dict(),
            optimizer=None if finished else self.optimizer.state_dict(),
            contrast=None if finished or self.contrast is None else self.contrast.state_dict(),
        )

    def describe(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Return the point of the curve for the step just taken."""
        point = {name: float(value) for name, value in measured.items()}
        if self.contrast is not None:
            point.setdefault("train/contrast", 0.0)
            point.update(self.contrast.diagnostics())
        self.metrics.update({name: value for name, value in point.items() if name.startswith("contrast/")})
        rate = poly_rate(self.config.optim, self.step - 1, self.config.schedule.steps)
        return {**point, "train/lr": rate}

    def validate(self, checkpoints: Checkpoints) -> dict[str, float]:
        """Return the point of the curve on the val split; keep the weights if they are the best so far."""
        self.validated = self.score(self.config.data.val_split)
        point = {"val/miou": self.validated.miou, "val/pixel_accuracy": self.validated.pixel_accuracy}
        self.metrics.update(point)
        if self.validated.miou > self.best_miou:
            self.best_miou = self.validated.miou
            checkpoints.save_best(self.model.state_dict())
        return point

    def score(self, split: str) -> Scores:
        """Evaluate the weights as they are."""
        batch_size = self.config.schedule.batch_size
        return evaluate(self.model, self.source, split, batch_size=batch_size, device=self.device)

    def figures(self) -> dict[str, float]:
        """Return the figures of a trial whose last step is taken."""
        data = self.config.data
        same_split = data.test_split == data.val_split
        final = self.validated if same_split and self.validated is not None else self.score(data.test_split)
        by_class = dict(zip(self.source.class_names, final.iou, strict=True))
        inference = [*self.model.backbone.parameters(), *self.model.head.parameters()]
        figures = {
            "final/miou": final.miou,
            "final/pixel_accuracy": final.pixel_accuracy,
            "final/mean_accuracy": final.mean_accuracy,
            **{f"final/iou/{name}": iou for name, iou in by_class.items() if iou is not None},
            **self.metrics,
            "val/best_miou": self.best_miou,
            "cost/train_minutes": self.seconds / 60,
            "cost/step_ms": self.seconds / self.config.schedule.steps * 1000,
            "cost/parameters_millions": sum(parameter.numel() for parameter in inference) / 1e6,
        }
        if self.device.type == "cuda":
            figures["cost/peak_memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        return figures

    def resume_clock(self) -> None:
        """Count the time from now on as training."""
        self.started = time.perf_counter()

    def stop_clock(self) -> None:
        """Count the time since `resume_clock`, the work queued on the device included."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds += time.perf_counter() - self.started
