"""One optimiser step: supervised loss, contrast, gradient, and the push into the bank.

Axes: B images of this rank, C classes, H W image, h w embedding map, D embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from trainer.config import TrainConfig, setting
from trainer.contrast.module import PixelContrast
from trainer.data.loading.batches import Batch
from trainer.distributed import data_parallel, is_distributed, rank, sum_over_ranks, world_size
from trainer.losses import Criterion
from trainer.models.segmentor import Segmentor, SegmentorOutput
from trainer.optim import rate_at, set_rate
from trainer.seeding import stream_generator, stream_seed

__all__ = ["TrainStep", "warmup_steps"]


class Portion(NamedTuple):
    """A part of this rank's images whose gradient is computed at once."""

    number: int
    image_B3HW: Tensor
    label_BHW: Tensor
    share: Tensor | None
    """Its share of the labelled pixels of the batch, of all ranks; None for a batch that is not split."""


class TrainStep:
    """The step of a trial. What it computes depends on the step's number and the tensors it updates, nothing else.

    The bank is pushed to after the update, with embeddings of the weights before it: no pixel meets itself there.

    A batch in several portions has the cross-entropy and the gradient of the whole batch, but for what a portion
    sees of its own: the statistics of batch norms, the pixels that Lovász and OHEM sort, the keys of the contrast.

    A batch is split over the ranks first, then each rank's part into portions. Batch norms and the contrast see a
    portion of all ranks, Lovász and OHEM the rank's own, and dropout draws other masks on every rank: without these
    three and without portions, several ranks compute what one does, but for the order of sums.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: Segmentor,
        contrast: PixelContrast | None,
        optimizer: Optimizer,
        device: torch.device,
        scaler: GradScaler | None = None,
    ) -> None:
        self.config = config
        self.model = model
        self.contrast = contrast
        self.optimizer = optimizer
        self.device = device
        self.warmup_steps = warmup_steps(config)
        self.criterion = Criterion(config, device)
        self.scaler = scaler or GradScaler(device.type, enabled=False)
        self.portions: int = setting(config.schedule, "portions")
        self.dtype = REDUCED_PRECISION.get(setting(config.compute, "precision"))
        compiled: Any = torch.compile(model) if setting(config.compute, "compile") else model
        self.network: Any = data_parallel(compiled, device)
        self.idle: dict[bool, list[nn.Parameter]] = {}

    def __call__(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Take step `step` (0-based) and return its `train/...` and `contrast/...` metrics, 0-d and detached.

        `train/ce` is the supervised loss of the main logits, whatever `loss.kind` is.
        """
        config = self.config
        names = ("dropout", step, rank()) if is_distributed() else ("dropout", step)
        torch.manual_seed(stream_seed(config.seed, *names))
        set_rate(self.optimizer, rate_at(config, step))
        image_B3HW = batch.image_B3HW.to(self.device, non_blocking=True)
        label_BHW = batch.label_BHW.to(self.device, non_blocking=True)

        self.optimizer.zero_grad(set_to_none=True)
        measured, embeddings = [], []
        for portion in self.split(image_B3HW, label_BHW):
            metrics, embedding_BDhw = self.accumulate(portion, step)
            measured.append(metrics)
            embeddings.append(embedding_BDhw)
        self.update()
        if self.contrast is not None and embeddings[0] is not None:
            generator = stream_generator(config.seed, "push", step, device=self.device)
            self.contrast.push(joined(embeddings), label_BHW, generator=generator)
        return measured[0] if len(measured) == 1 else total(measured)

    def split(self, image_B3HW: Tensor, label_BHW: Tensor) -> list[Portion]:
        """Return the portions of this rank's part of a batch."""
        if self.portions == 1 and not is_distributed():
            return [Portion(0, image_B3HW, label_BHW, None)]
        mass = sum_over_ranks(self.criterion.mass(label_BHW)).clamp(min=1e-12)
        parts = zip(image_B3HW.chunk(self.portions), label_BHW.chunk(self.portions), strict=True)
        return [
            Portion(number, image, label, self.criterion.mass(label) / mass)
            for number, (image, label) in enumerate(parts)
        ]

    def accumulate(self, portion: Portion, step: int) -> tuple[dict[str, Tensor], Tensor | None]:
        """Add the gradient of a portion; return what it adds to the metrics, and its embedding without gradient.

        Supervised losses add up over the ranks; the contrastive one is that of all ranks, on each.
        """
        config, label_BHW = self.config, portion.label_BHW
        with self.averaged(portion):
            with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
                output: SegmentorOutput = self.network(portion.image_B3HW)
            ce = self.criterion(output.logits_BCHW, label_BHW)
            loss = ce
            if output.aux_logits_BCHW is not None and config.model.aux_weight > 0:
                loss = loss + config.model.aux_weight * self.criterion(output.aux_logits_BCHW, label_BHW)
            if portion.share is not None:
                ce, loss = ce * portion.share, loss * portion.share
            whole, whole_ce = sum_over_ranks(torch.stack([loss, ce]).detach())
            contrast_loss, stats = self.compare(output, label_BHW, step, portion.number)
            if contrast_loss is not None:
                if self.portions > 1:
                    contrast_loss = contrast_loss / self.portions
                loss = loss + config.contrast.weight * contrast_loss
                whole = whole + config.contrast.weight * contrast_loss.detach()
                stats = {"train/contrast": contrast_loss.detach(), **stats}
            self.backward(loss, is_compared=contrast_loss is not None)
        embedding_BDhw = None if output.embedding_BDhw is None else output.embedding_BDhw.detach()
        return {"train/loss": whole, "train/ce": whole_ce, **stats}, embedding_BDhw

    def averaged(self, portion: Portion) -> AbstractContextManager[None]:
        """Let the gradients be averaged over the ranks at the last portion only, when all of them have been added."""
        if not is_distributed() or portion.number == self.portions - 1:
            return nullcontext()
        local: AbstractContextManager[None] = self.network.no_sync()
        return local

    def backward(self, loss: Tensor, *, is_compared: bool) -> None:
        """Add the gradient of `loss`, summed over the ranks.

        Data-parallel training averages, so the loss is multiplied; and it waits for a gradient of every parameter, so
        those that the loss does not depend on (the projection during the warm-up) are given one, and relieved of it,
        lest they decay.
        """
        if not is_distributed():
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            return
        if is_compared not in self.idle:
            self.idle[is_compared] = unreached(self.model, loss)
        idle = self.idle[is_compared]
        for parameter in idle:
            loss = loss + 0 * parameter.sum()
        self.scaler.scale(loss * world_size()).backward()  # type: ignore[no-untyped-call]
        for parameter in idle:
            parameter.grad = None

    def compare(
        self, output: SegmentorOutput, label_BHW: Tensor, step: int, portion: int
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return the contrastive loss and its statistics; None and nothing for a baseline and during the warm-up."""
        if self.contrast is None or output.embedding_BDhw is None or step < self.warmup_steps:
            return None, {}
        prediction_BHW = output.logits_BCHW.detach().argmax(dim=1)
        names = ("contrast", step) if portion == 0 else ("contrast", step, portion)
        generator = stream_generator(self.config.seed, *names, device=self.device)
        compared = self.contrast(output.embedding_BDhw, label_BHW, prediction_BHW, generator=generator)
        return compared.loss, {name: value.detach() for name, value in compared.stats.items()}

    def update(self) -> None:
        """Move the weights along the accumulated gradient, clipped where the config says so."""
        if self.config.optim.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()


REDUCED_PRECISION = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def warmup_steps(config: TrainConfig) -> int:
    """Return the number of steps before the contrastive loss counts."""
    return int(config.contrast.warmup_fraction * config.schedule.steps)


def unreached(model: nn.Module, loss: Tensor) -> list[nn.Parameter]:
    """Return the parameters of `model` that no gradient of `loss` reaches."""
    reached: set[Any] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        reached.add(getattr(node, "variable", None))
        waiting.extend(following for following, _ in node.next_functions)
    return [parameter for parameter in model.parameters() if parameter not in reached]


def joined(embeddings: Sequence[Tensor | None]) -> Tensor:
    """Return the embeddings of the portions as those of the batch."""
    parts = [part for part in embeddings if part is not None]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def total(measured: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the metrics of a batch from those of its portions: sums of `train/...`, means of `contrast/...`."""
    sums = {name: torch.stack([part[name] for part in measured]).sum(dim=0) for name in measured[0]}
    return {name: value if name.startswith("train/") else value / len(measured) for name, value in sums.items()}
