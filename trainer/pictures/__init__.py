"""Pictures of a finished trial: predictions, confusion matrix and embedding, drawn with Pillow and NumPy.

Imports the data sets, the models, `metrics` and `contrast.pixels`; only the training state imports it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from trainer.config import BaseSizeConfig
from trainer.data.loading.transforms import OWN_SIZE
from trainer.data.source import Source
from trainer.evaluate import evaluating
from trainer.metrics import Scores
from trainer.models.segmentor import Segmentor
from trainer.pictures.canvas import save
from trainer.pictures.compared import save_compared
from trainer.pictures.confusion import draw_confusion
from trainer.pictures.embedding import draw_embedding, sample_embedding
from trainer.pictures.sheet import draw_sheet

__all__ = ["PICTURE_FOLDER", "draw_pictures"]

PICTURE_FOLDER = "pictures"
"""Folder name inside the folder of the trial."""

SHEET_IMAGES = 4
EMBEDDED_IMAGES = 12


def draw_pictures(
    model: Segmentor,
    source: Source,
    split: str,
    scores: Scores,
    folder: Path,
    device: torch.device,
    base_size: BaseSizeConfig = OWN_SIZE,
) -> tuple[Path, ...]:
    """Write sheet.png, confusion.png, embedding.png and the compared images of `split` to `folder`; returns the paths.

    The model sees images at `base_size`. The images are evenly spaced over the split, so they are the same for every
    trial. Files are below 300 kB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names, palette = source.class_names, source.palette
    with evaluating(model):
        indices = evenly_spaced(source.size(split), EMBEDDED_IMAGES)
        examples = [source.read(split, index) for index in indices]
        seen = [sample_embedding(model, pair, len(names), device, base_size) for pair in examples]
        shown = evenly_spaced(len(examples), SHEET_IMAGES)
    pictures = {
        "sheet": draw_sheet([(*examples[i], seen[i].prediction_HW) for i in shown], names, palette),
        "confusion": draw_confusion(scores.pixels, names),
        "embedding": draw_embedding(seen, names, palette),
    }
    compared = [
        path
        for index, example, item in zip(indices, examples, seen, strict=True)
        for path in save_compared(folder, index, *example, item.prediction_HW, palette)
    ]
    return (*(save(picture, folder / f"{name}.png", palette) for name, picture in pictures.items()), *compared)


def evenly_spaced(size: int, count: int) -> list[int]:
    """At most `count` distinct, evenly spaced whole numbers below `size`."""
    count = min(size, count)
    return [(2 * i + 1) * size // (2 * count) for i in range(count)]
