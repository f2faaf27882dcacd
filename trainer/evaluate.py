"""Evaluates a model on a split: whole images at one scale, or as `EvaluationConfig` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from trainer.config import EvaluationConfig
from trainer.data.loading.batches import evaluation_batches
from trainer.data.loading.loader import IN_TRAINING_THREAD, Loader
from trainer.data.source import Source
from trainer.distributed import rank, sum_over_ranks, world_size
from trainer.metrics import Scores, class_counts, confusion, score
from trainer.models.segmentor import Segmentor
from trainer.views import average_logits

__all__ = ["WHOLE_IMAGE", "evaluate", "evaluating"]

WHOLE_IMAGE = EvaluationConfig()
"""Whole images at their own size, not mirrored."""


def evaluate(
    model: Segmentor,
    source: Source,
    split: str,
    *,
    batch_size: int,
    device: torch.device,
    loader: Loader = IN_TRAINING_THREAD,
    views: EvaluationConfig = WHOLE_IMAGE,
    batches: int | None = None,
) -> Scores:
    """Score `model` in evaluation mode on every image of `split`; all ranks must call it and get the same scores.

    `batches`: only so many of each rank.
    """
    classes = len(source.class_names)
    matrix_CC = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    count_NCK = torch.zeros(source.size(split), classes, 3, dtype=torch.int64, device=device)

    def network(image_B3HW: Tensor) -> Tensor:
        logits_BCHW: Tensor = model(image_B3HW).logits_BCHW
        return logits_BCHW

    with evaluating(model):
        whole_split = evaluation_batches(source, split, batch_size, loader=loader, rank=rank(), ranks=world_size())
        with closing(whole_split):
            for batch in islice(whole_split, batches):
                logits_BCHW = average_logits(network, batch.image_B3HW.to(device), views)
                images = zip(batch.label_BHW.to(device), logits_BCHW.argmax(dim=1), strict=True)
                for number, (label_HW, prediction_HW) in enumerate(images, start=batch.first):
                    image_CC = confusion(label_HW, prediction_HW, classes)
                    matrix_CC += image_CC
                    count_NCK[number] = class_counts(image_CC)
    return score(sum_over_ranks(matrix_CC), sum_over_ranks(count_NCK))


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
