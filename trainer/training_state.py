"""The state of a training run: model, optimiser, bank, step and metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from trainer.average import WeightAverage
from trainer.build import build_contrast, build_segmentor
from trainer.checkpoint import Checkpoint, Checkpoints, fingerprint
from trainer.code_digest import codes_in, joined, present_code
from trainer.config import EvaluationConfig, TrainConfig, require_class_weights_fit, require_compute_fits, setting
from trainer.contrast.module import PixelContrast
from trainer.data.loading.loader import IN_TRAINING_THREAD, Loader
from trainer.data.source import Source
from trainer.distributed import is_distributed, rank
from trainer.errors import TrainerError
from trainer.evaluate import WHOLE_IMAGE, evaluate
from trainer.metrics import Scores
from trainer.models.segmentor import Segmentor
from trainer.models.sync_norm import synchronise_norms
from trainer.optim import build_optimizer, rate_at
from trainer.pictures import draw_pictures

__all__ = ["TrainingState"]


@dataclass(kw_only=True, slots=True)
class TrainingState:
    """Everything that changes during training, with the config and the data set."""

    config: TrainConfig
    source: Source
    device: torch.device
    model: Segmentor
    contrast: PixelContrast | None
    optimizer: Optimizer
    scaler: GradScaler
    """Scales the loss at float16 precision; disabled otherwise."""
    average: WeightAverage | None = None
    """The evaluated weights, if `optim.ema_decay` is set."""
    step: int = 0
    """Completed steps."""
    seconds: float = 0.0
    """Training time over all attempts, without evaluation and checkpoints."""
    loader: Loader = IN_TRAINING_THREAD
    loader_seconds: float = 0.0
    """Part of it in which the training thread waited for the next batch, or made it."""
    best_miou: float = -1.0
    code: str = field(default_factory=present_code)
    """Digests of the code that took the steps."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Last value of each `val/...` and `contrast/...` metric."""
    validated: Scores | None = None
    """Latest scores on the val split, if measured in this process."""
    reported: Scores | None = None
    """Scores of the `final/...` metrics, once measured."""
    started: float = 0.0
    """Clock at the last `resume_clock`."""

    @classmethod
    def start(
        cls, config: TrainConfig, source: Source, device: torch.device, loader: Loader = IN_TRAINING_THREAD
    ) -> TrainingState:
        """Build the state at step 0. Raises TrainerError if config, data and device do not fit together."""
        classes = len(source.class_names)
        try:
            require_class_weights_fit(config.loss, classes)
            require_compute_fits(config.compute, cuda=device.type == "cuda")
        except ValueError as error:
            raise TrainerError(str(error)) from error
        decay = config.optim.ema_decay
        with_contrast = config.contrast.source != "none"
        layout = setting(config.compute, "channels_last")
        model = build_segmentor(config.model, config.contrast, classes=classes, seed=config.seed, channels_last=layout)
        model.to(device)
        if is_distributed():
            synchronise_norms(model, device)
        contrast = build_contrast(config.contrast, classes).to(device) if with_contrast else None
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        return cls(
            config=config,
            source=source,
            device=device,
            loader=loader,
            model=model,
            contrast=contrast,
            optimizer=build_optimizer(model, config.optim),
            scaler=GradScaler(device.type, enabled=setting(config.compute, "precision") == "float16"),
            average=None if decay is None else WeightAverage(model, decay),
        )

    def restore(self, found: Checkpoint) -> None:
        """Restore the state of a checkpoint."""
        self.model.load_state_dict(found.model)
        for name in ("optimizer", "contrast", "average", "scaler"):
            part, state = getattr(self, name), getattr(found, name)
            if part is not None and state is not None:
                part.load_state_dict(dict(state))
        self.step, self.seconds, self.loader_seconds = found.step, found.seconds, found.loader_seconds
        self.best_miou = found.best_miou
        self.metrics = dict(found.metrics)
        self.code = joined([*codes_in(found.code), present_code()])

    def checkpoint(self) -> Checkpoint:
        """The state as a checkpoint; after the last step, with the weights only."""
        finished = self.step == self.config.schedule.steps
        return Checkpoint(
            config=fingerprint(self.config),
            code=self.code,
            step=self.step,
            seconds=self.seconds,
            loader_seconds=self.loader_seconds,
            best_miou=self.best_miou,
            metrics=self.metrics,
            model=self.model.state_dict(),
            optimizer=None if finished else self.optimizer.state_dict(),
            contrast=None if finished or self.contrast is None else self.contrast.state_dict(),
            average=None if self.average is None else self.average.state_dict(),
            scaler=self.scaler.state_dict() if self.scaler.is_enabled() and not finished else None,
        )

    @property
    def evaluated(self) -> Segmentor:
        """The model with the evaluated weights: the last ones, or their moving average."""
        return self.model if self.average is None else self.average.model

    def finish_step(self, step: int) -> None:
        """Count step `step` (0-based) and update the moving average."""
        self.step = step + 1
        if self.average is not None:
            self.average.update(self.model, step)

    def training_point(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """The metrics of the last step as a point of the learning curve, without those that have nothing to average."""
        point = {name: float(value) for name, value in measured.items()}
        point = {name: value for name, value in point.items() if not (is_contrast(name) and math.isnan(value))}
        if self.contrast is not None:
            point.setdefault("train/contrast", 0.0)
            point.update(self.contrast.diagnostics())
        self.metrics.update({name: value for name, value in point.items() if is_contrast(name)})
        return {**point, "train/lr": rate_at(self.config, self.step - 1)}

    def validate(self, checkpoints: Checkpoints) -> dict[str, float]:
        """Score the val split, save the best weights so far and return the curve's point; all ranks must call it.

        A metric with nothing to average is left out of the point.
        """
        self.validated = self.score(self.config.data.val_split)
        scores = self.validated.figures
        shown = ("miou", "pixel_accuracy", *(self.config.evaluation.metrics or ()))
        point = {f"val/{name}": scores[name] for name in shown if name in scores}
        self.metrics.update(point | {f"val/{name}": scores[name] for name in ("classes",) if name in scores})
        miou = scores.get("miou", 0.0)  # without labels the weights of the first evaluation are kept as the best
        if miou > self.best_miou:
            self.best_miou = miou
            if rank() == 0:
                checkpoints.save_best(self.evaluated.state_dict())
        return point

    def score(self, split: str, views: EvaluationConfig = WHOLE_IMAGE, *, batches: int | None = None) -> Scores:
        """Evaluate the current weights on `split`, or on its first `batches`."""
        return evaluate(
            self.evaluated,
            self.source,
            split,
            batch_size=self.config.schedule.batch_size,
            device=self.device,
            loader=self.loader,
            views=views,
            base_size=self.config.data.base_size,
            batches=batches,
            metrics=self.config.evaluation,
        )

    def figures(self) -> dict[str, float]:
        """The metrics of a finished trial, without those that have nothing to average; all ranks must call it."""
        data = self.config.data
        views = self.config.evaluation
        plain = replace(views, metrics=None, metric_plugins=None)
        same = data.test_split == data.val_split and plain == WHOLE_IMAGE
        final = self.validated if same and self.validated is not None else self.score(data.test_split, views)
        self.reported = final
        by_class = dict(zip(self.source.class_names, final.iou, strict=True))
        figures = {
            **{f"final/{name}": value for name, value in final.figures.items()},
            **{f"final/iou/{name}": iou for name, iou in by_class.items() if iou is not None},
            **self.metrics,
            **({"val/best_miou": self.best_miou} if "val/miou" in self.metrics else {}),
            "cost/train_minutes": self.seconds / 60,
            "cost/images_per_second": self.config.schedule.batch_size * self.config.schedule.steps / self.seconds,
            "cost/step_ms": self.seconds / self.config.schedule.steps * 1000,
            "cost/loader_wait_share": self.loader_seconds / self.seconds,
            "cost/parameters_millions": self.model.deployed_parameters / 1e6,
        }
        if self.device.type == "cuda":
            figures["cost/peak_memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        return figures

    def draw(self, folder: Path) -> tuple[Path, ...]:
        """Write the pictures, after `figures`; returns their paths."""
        if self.reported is None:
            return ()
        data = self.config.data
        return draw_pictures(
            self.evaluated, self.source, data.test_split, self.reported, folder, self.device, data.base_size
        )

    def resume_clock(self) -> None:
        """Start counting training time."""
        self.started = time.perf_counter()

    @contextmanager
    def waiting_for_data(self) -> Iterator[None]:
        """Count the time of the body as waiting for the next batch, while training time is counted."""
        began = time.perf_counter()
        yield
        self.loader_seconds += time.perf_counter() - began

    def stop_clock(self) -> None:
        """Add the time since `resume_clock`, including the work queued on the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds += time.perf_counter() - self.started


def is_contrast(name: str) -> bool:
    """Whether a metric is one of the contrastive loss."""
    return name.startswith("contrast/")
