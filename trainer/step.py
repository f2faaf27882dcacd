"""One optimiser step: supervised loss, contrastive loss, gradient, and the push into the bank.

Axes: B images of this rank, C classes, H W image, h w embedding map, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from trainer.config import TrainConfig, setting
from trainer.contrast.module import PixelContrast
from trainer.data.loading.batches import Batch
from trainer.distributed import data_parallel, is_distributed, rank, sum_over_ranks, world_size
from trainer.graphs import GraphedNetwork, restored_buffers
from trainer.losses import Criterion
from trainer.models.segmentor import Segmentor, SegmentorOutput
from trainer.optim import rate_at, set_rate
from trainer.seeding import stream_generator, stream_seed

__all__ = ["TrainStep", "warmup_steps"]


class MicroBatch(NamedTuple):
    """Images of this rank whose gradient is computed in one pass."""

    number: int
    image_B3HW: Tensor
    label_BHW: Tensor
    share: Tensor | None
    """Its share of the labelled pixels in the batch of all ranks; None if the batch is not split."""


class Pushed(NamedTuple):
    """What a micro-batch adds to the bank."""

    embedding_BDhw: Tensor
    label_BHW: Tensor
    """At image size; shuffled labels have the size of the embedding."""


LabelView: TypeAlias = Callable[[Tensor], Tensor]
"""From labels or predictions of a micro-batch to what the contrast sees of them."""


class TrainStep:
    """The optimiser step of a trial. Its result depends only on the step number and the tensors that it updates.

    The bank is updated after the weights, with the embeddings from before the update, so no pixel is compared with
    itself through the bank.

    A batch in several micro-batches has the cross-entropy and the gradient of the whole batch, except for what is per
    micro-batch: the statistics of batch norms, the pixels that Lovász and OHEM sort, the keys of the contrast.

    A batch is split over the ranks first, then into micro-batches. Batch norms and the contrast use a micro-batch of
    all ranks, Lovász and OHEM that of each rank, and every rank has its own dropout masks. Without Lovász, OHEM,
    dropout and micro-batches, several ranks give the result of one, up to the order of sums.
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
        self.accumulation_steps: int = setting(config.schedule, "accumulation_steps")
        self.shuffles_labels = config.contrast.labels == "shuffled"
        self.dtype = REDUCED_PRECISION.get(setting(config.compute, "precision"))
        self.idle: dict[bool, list[nn.Parameter]] = {}
        """By whether the loss has a contrastive term: the parameters that it does not depend on, where they must be
        known."""
        self.network: Any = self.graphed() if setting(config.compute, "cuda_graphs") else self.launched()

    def launched(self) -> Any:
        """The network as its kernels are launched one by one, compiled and with the other ranks where that is so."""
        compiled: Any = torch.compile(self.model) if setting(self.config.compute, "compile") else self.model
        return data_parallel(compiled, self.device)

    def graphed(self) -> GraphedNetwork:
        """The network as CUDA graphs."""
        config = self.config
        example_B3HW = torch.zeros(config.schedule.batch_size, 3, *config.data.crop, device=self.device)
        self.idle = self.idle_parameters(example_B3HW[:2, :, :64, :64])
        return GraphedNetwork(self.model, example_B3HW, self.dtype)

    def idle_parameters(self, image_B3HW: Tensor) -> dict[bool, list[nn.Parameter]]:
        """The parameters that a loss does not depend on, which CUDA graphs cannot tell (see `idle`).

        Nothing of the autograd graph of this pass may live on: while its AccumulateGrad nodes do, which belong to the
        default stream, CUDA cannot record the backward pass.
        """
        with restored_buffers(self.model):
            output: SegmentorOutput = self.model(image_B3HW)
        supervised = output.logits_BCHW.sum()
        if output.aux_logits_BCHW is not None and self.config.model.aux_weight > 0:
            supervised = supervised + output.aux_logits_BCHW.sum()
        idle = {False: parameters_without_gradient(self.model, supervised)}
        if output.embedding_BDhw is not None:
            idle[True] = parameters_without_gradient(self.model, supervised + output.embedding_BDhw.sum())
        return idle

    def __call__(self, batch: Batch, step: int, *, spread: bool = True) -> dict[str, Tensor]:
        """Take step `step` (0-based) and return its `train/...` and `contrast/...` metrics, 0-d and detached.

        `train/ce` is the supervised loss of the main logits for every `loss.kind`. `spread`: whether alignment and
        uniformity are measured; nothing else depends on them.
        """
        config = self.config
        names = ("dropout", step, rank()) if is_distributed() else ("dropout", step)
        torch.manual_seed(stream_seed(config.seed, *names))
        set_rate(self.optimizer, rate_at(config, step))
        self.criterion.begin_step(step / config.schedule.steps)
        image_B3HW = batch.image_B3HW.to(self.device, non_blocking=True)
        label_BHW = batch.label_BHW.to(self.device, non_blocking=True)

        self.optimizer.zero_grad(set_to_none=True)
        measured, pushed = [], []
        for part in self.split(image_B3HW, label_BHW):
            metrics, rows = self.accumulate(part, step, spread=spread)
            measured.append(metrics)
            pushed.append(rows)
        self.update()
        if self.contrast is not None and pushed[0] is not None:
            generator = stream_generator(config.seed, "push", step, device=self.device)
            embedding_BDhw, seen_BHW = joined(pushed)
            true_BHW = label_BHW if self.shuffles_labels else None
            self.contrast.push(embedding_BDhw, seen_BHW, generator=generator, true_BHW=true_BHW)
        return measured[0] if len(measured) == 1 else total(measured)

    def split(self, image_B3HW: Tensor, label_BHW: Tensor) -> list[MicroBatch]:
        """Split this rank's part of a batch into micro-batches."""
        count = self.accumulation_steps
        if count == 1 and not is_distributed():
            return [MicroBatch(0, image_B3HW, label_BHW, None)]
        mass = sum_over_ranks(self.criterion.mass(label_BHW)).clamp(min=1e-12)
        parts = zip(image_B3HW.chunk(count), label_BHW.chunk(count), strict=True)
        return [
            MicroBatch(number, image, label, self.criterion.mass(label) / mass)
            for number, (image, label) in enumerate(parts)
        ]

    def accumulate(self, part: MicroBatch, step: int, *, spread: bool) -> tuple[dict[str, Tensor], Pushed | None]:
        """Add the gradient of a micro-batch; return its contribution to the metrics and to the bank.

        Supervised losses are summed over the ranks; the contrastive loss is that of all ranks, on each rank.
        """
        config, label_BHW = self.config, part.label_BHW
        with self.gradient_sync(part):
            with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
                output: SegmentorOutput = self.network(part.image_B3HW)
            ce = self.criterion(output.logits_BCHW, label_BHW)
            loss = ce
            if output.aux_logits_BCHW is not None and config.model.aux_weight > 0:
                loss = loss + config.model.aux_weight * self.criterion(output.aux_logits_BCHW, label_BHW)
            if part.share is not None:
                ce, loss = ce * part.share, loss * part.share
            whole, whole_ce = sum_over_ranks(torch.stack([loss, ce]).detach())
            view = self.label_view(output, label_BHW, step, part.number)
            contrast_loss, stats = self.contrast_loss(output, label_BHW, view, step, part.number, spread=spread)
            if contrast_loss is not None:
                if self.accumulation_steps > 1:
                    contrast_loss = contrast_loss / self.accumulation_steps
                loss = loss + config.contrast.weight * contrast_loss
                whole = whole + config.contrast.weight * contrast_loss.detach()
                stats = {"train/contrast": contrast_loss.detach(), **stats}
            self.backward(loss, with_contrast=contrast_loss is not None)
        embedding_BDhw = output.embedding_BDhw
        pushed = None if embedding_BDhw is None else Pushed(embedding_BDhw.detach(), view(label_BHW))
        return {"train/loss": whole, "train/ce": whole_ce, **stats}, pushed

    def gradient_sync(self, part: MicroBatch) -> AbstractContextManager[None]:
        """Average the gradients over the ranks only at the last micro-batch, after all of them are added."""
        if not is_distributed() or part.number == self.accumulation_steps - 1:
            return nullcontext()
        local: AbstractContextManager[None] = self.network.no_sync()
        return local

    def backward(self, loss: Tensor, *, with_contrast: bool) -> None:
        """Add the gradient of `loss`, summed over the ranks.

        DistributedDataParallel averages gradients, so the loss is multiplied by the number of ranks. It also waits for
        a gradient of every parameter, so parameters that the loss does not depend on (the projection during the
        warm-up) get a zero gradient. CUDA graphs give them one as well. It is removed, so that weight decay does not
        change them.
        """
        if is_distributed():
            if with_contrast not in self.idle:
                self.idle[with_contrast] = parameters_without_gradient(self.model, loss)
            for parameter in self.idle[with_contrast]:
                loss = loss + 0 * parameter.sum()
            loss = loss * world_size()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        for parameter in self.idle.get(with_contrast, ()):
            parameter.grad = None

    def label_view(self, output: SegmentorOutput, label_BHW: Tensor, step: int, part: int) -> LabelView:
        """What the contrast sees of labels and predictions: all of them, unless `contrast.labels` is shuffled."""
        embedding_BDhw = output.embedding_BDhw
        if self.contrast is None or embedding_BDhw is None or not self.shuffles_labels:
            return lambda map_BHW: map_BHW
        generator = self.generator("labels", step, part)
        size_hw = (embedding_BDhw.shape[2], embedding_BDhw.shape[3])
        return self.contrast.draw_shuffle(label_BHW, size_hw, generator=generator)

    def contrast_loss(
        self, output: SegmentorOutput, label_BHW: Tensor, view: LabelView, step: int, part: int, *, spread: bool
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The contrastive loss and its statistics; None and empty for a baseline and during the warm-up."""
        if self.contrast is None or output.embedding_BDhw is None or step < self.warmup_steps:
            return None, {}
        prediction_BHW = output.logits_BCHW.detach().argmax(dim=1)
        generator = self.generator("contrast", step, part)
        compared = self.contrast(
            output.embedding_BDhw,
            view(label_BHW),
            view(prediction_BHW),
            generator=generator,
            progress=step / self.config.schedule.steps,
            spread=spread,
        )
        return compared.loss, {name: value.detach() for name, value in compared.stats.items()}

    def generator(self, stream: str, step: int, part: int) -> torch.Generator:
        """The random stream of a micro-batch."""
        names = (stream, step) if part == 0 else (stream, step, part)
        return stream_generator(self.config.seed, *names, device=self.device)

    def update(self) -> None:
        """Update the weights with the accumulated gradient, clipped if the config says so."""
        if self.config.optim.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()


REDUCED_PRECISION = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def warmup_steps(config: TrainConfig) -> int:
    """Number of steps before the contrastive loss is used."""
    return int(config.contrast.warmup_fraction * config.schedule.steps)


def parameters_without_gradient(model: nn.Module, loss: Tensor) -> list[nn.Parameter]:
    """The parameters of `model` that `loss` does not depend on."""
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


def joined(pushed: Sequence[Pushed | None]) -> Pushed:
    """Concatenate what the micro-batches push."""
    parts = [part for part in pushed if part is not None]
    return parts[0] if len(parts) == 1 else Pushed(*map(torch.cat, zip(*parts, strict=True)))


def total(measured: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Metrics of a batch from its micro-batches: sums of `train/...`, means of `contrast/...` without NaN."""
    parts = {name: torch.stack([part[name] for part in measured]) for name in measured[0]}
    return {name: part.sum(dim=0) if name.startswith("train/") else part.nanmean(dim=0) for name, part in parts.items()}
