"""One optimiser step: cross-entropy, contrast, gradient, and the push into the bank.

Axes: B batch, C classes, H W image, h w embedding map, D embedding width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from trainer.config import TrainConfig
from trainer.contrast.module import PixelContrast
from trainer.data.base import IGNORE_INDEX
from trainer.data.batches import Batch
from trainer.models.segmentor import Segmentor, SegmentorOutput
from trainer.optim import poly_rate, set_rate
from trainer.seeding import generator, stream_seed

__all__ = ["TrainStep", "cross_entropy", "warmup_steps"]


class TrainStep:
    """The step of a trial. What it computes depends on the step's number and the tensors it updates, nothing else.

    The bank is pushed to after the update, with embeddings of the weights before it: no pixel meets itself there.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: Segmentor,
        contrast: PixelContrast | None,
        optimizer: Optimizer,
        device: torch.device,
    ) -> None:
        self.config = config
        self.model = model
        self.contrast = contrast
        self.optimizer = optimizer
        self.device = device
        self.warmup_steps = warmup_steps(config)

    def __call__(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Take step `step` (0-based) and return its `train/...` and `contrast/...` metrics, 0-d and detached."""
        config = self.config
        torch.manual_seed(stream_seed(config.seed, "dropout", step))
        set_rate(self.optimizer, poly_rate(config.optim, step, config.schedule.steps))
        image_B3HW = batch.image_B3HW.to(self.device, non_blocking=True)
        label_BHW = batch.label_BHW.to(self.device, non_blocking=True)

        output: SegmentorOutput = self.model(image_B3HW)
        ce = cross_entropy(output.logits_BCHW, label_BHW)
        loss = ce
        if output.aux_logits_BCHW is not None and config.model.aux_weight > 0:
            loss = loss + config.model.aux_weight * cross_entropy(output.aux_logits_BCHW, label_BHW)
        contrast_loss, stats = self.compare(output, label_BHW, step)
        if contrast_loss is not None:
            loss = loss + config.contrast.weight * contrast_loss
            stats = {"train/contrast": contrast_loss.detach(), **stats}

        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.contrast is not None and output.embedding_BDhw is not None:
            chance = generator(config.seed, "push", step, device=self.device)
            self.contrast.push(output.embedding_BDhw.detach(), label_BHW, generator=chance)
        return {"train/loss": loss.detach(), "train/ce": ce.detach(), **stats}

    def compare(self, output: SegmentorOutput, label_BHW: Tensor, step: int) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return the contrastive loss and its statistics; None and nothing for a baseline and during the warm-up."""
        if self.contrast is None or output.embedding_BDhw is None or step < self.warmup_steps:
            return None, {}
        prediction_BHW = output.logits_BCHW.detach().argmax(dim=1)
        chance = generator(self.config.seed, "contrast", step, device=self.device)
        compared = self.contrast(output.embedding_BDhw, label_BHW, prediction_BHW, generator=chance)
        return compared.loss, {name: value.detach() for name, value in compared.stats.items()}


def warmup_steps(config: TrainConfig) -> int:
    """Return the number of steps before the contrastive loss counts."""
    return int(config.contrast.warmup_fraction * config.schedule.steps)


def cross_entropy(logits_BCHW: Tensor, label_BHW: Tensor) -> Tensor:
    """Return the mean over labelled pixels, in float32; a differentiable 0 for a batch without any."""
    total = F.cross_entropy(logits_BCHW.float(), label_BHW, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / (label_BHW != IGNORE_INDEX).sum().clamp(min=1)
