"""Evaluation: whole images, one scale, no flip."""

from __future__ import annotations

import torch

from trainer.data.base import Source
from trainer.data.batches import evaluation_batches
from trainer.metrics import Scores, confusion, score
from trainer.models.segmentor import Segmentor

__all__ = ["evaluate"]


def evaluate(model: Segmentor, source: Source, split: str, *, batch_size: int, device: torch.device) -> Scores:
    """Score `model` in evaluation mode on every image of `split`; its mode is put back afterwards."""
    classes = len(source.class_names)
    matrix_CC = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in evaluation_batches(source, split, batch_size):
                logits_BCHW = model(batch.image_B3HW.to(device)).logits_BCHW
                matrix_CC += confusion(batch.label_BHW.to(device), logits_BCHW.argmax(dim=1), classes)
    finally:
        model.train(was_training)
    return score(matrix_CC)
