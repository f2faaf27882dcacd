"""Evaluates a model on a split: whole images at one scale, or as `EvaluationConfig` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from trainer.config import BaseSizeConfig, EvaluationConfig
from trainer.data.loading.batches import Batch, evaluation_batches
from trainer.data.loading.loader import IN_TRAINING_THREAD, Loader
from trainer.data.loading.transforms import OWN_SIZE
from trainer.data.source import Source
from trainer.distributed import rank, sum_over_ranks, world_size
from trainer.metrics import PluginMetrics, Scores, class_counts, confusion, score
from trainer.models.segmentor import Segmentor
from trainer.views import average_logits

__all__ = ["WHOLE_IMAGE", "evaluate", "evaluating", "logits_at_label_size"]

WHOLE_IMAGE = EvaluationConfig()
"""Whole images at one scale, not mirrored."""


def evaluate(
    model: Segmentor,
    source: Source,
    split: str,
    *,
    batch_size: int,
    device: torch.device,
    loader: Loader = IN_TRAINING_THREAD,
    views: EvaluationConfig = WHOLE_IMAGE,
    base_size: BaseSizeConfig = OWN_SIZE,
    batches: int | None = None,
    metrics: EvaluationConfig = WHOLE_IMAGE,
) -> Scores:
    """Score `model` in evaluation mode on every image of `split`; all ranks must call it and get the same scores.

    The model sees images at `base_size`. Its logits are resized to the size of the label, and never the reverse.
    `batches`: at most this number of each rank; None for all. `metrics`: whose metrics of plugins are measured.
    """
    classes = len(source.class_names)
    matrix_CC = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    count_NCK = torch.zeros(source.size(split), classes, 3, dtype=torch.int64, device=device)

    further = PluginMetrics(metrics, classes, device)
    with evaluating(model):
        whole_split = evaluation_batches(
            source,
            split,
            batch_size,
            base_size=base_size,
            device=device,
            loader=loader,
            rank=rank(),
            ranks=world_size(),
        )
        with closing(whole_split):
            for batch in islice(whole_split, batches):
                logits_BCHW = logits_at_label_size(model, batch, views)
                images = zip(batch.label_BHW, logits_BCHW.argmax(dim=1), strict=True)
                for number, (label_HW, prediction_HW) in enumerate(images, start=batch.first):
                    image_CC = confusion(label_HW, prediction_HW, classes)
                    matrix_CC += image_CC
                    count_NCK[number] = class_counts(image_CC)
                    further.add(label_HW, prediction_HW)
    return score(sum_over_ranks(matrix_CC), sum_over_ranks(count_NCK), further.values(sum_over_ranks))


def logits_at_label_size(model: Segmentor, batch: Batch, views: EvaluationConfig) -> Tensor:
    """The mean logits of a batch over `views`, (B, C, H, W) with the H and W of its labels."""

    def network(image_B3HW: Tensor) -> Tensor:
        logits_BCHW: Tensor = model(image_B3HW).logits_BCHW
        return logits_BCHW

    size = (int(batch.label_BHW.shape[-2]), int(batch.label_BHW.shape[-1]))
    return average_logits(network, batch.image_B3HW, views, size)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Run the body with `model` in evaluation mode and without gradient."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
