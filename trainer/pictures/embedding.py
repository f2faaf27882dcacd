"""The embedding of labelled pixels in two principal components, coloured by class.

Axes: H W image, h w embedding map, D embedding width, N pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from trainer.config import BaseSizeConfig
from trainer.contrast.pixels import reduce_nearest
from trainer.data.loading.transforms import OWN_SIZE, image_tensor, resize_label
from trainer.data.source import IGNORE_INDEX, Colour, Pair, Pixels
from trainer.models.heads.base import HeadOutput
from trainer.models.segmentor import Segmentor
from trainer.pictures.canvas import BLACK, FONT, LINE, WHITE, draw_legend, legend_height
from trainer.views import resize

__all__ = ["EmbeddedImage", "draw_embedding", "principal_components", "sample_embedding"]

PIXELS_PER_CLASS = 40
"""Sampled pixels per image and class, evenly spaced."""
SIDE = 640
BORDER = 12


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """The prediction of one image and a sample of embedded pixels with their classes."""

    prediction_HW: Pixels
    embedding_ND: NDArray[np.float32]
    label_N: NDArray[np.int64]


def sample_embedding(
    model: Segmentor, pair: Pair, classes: int, device: torch.device, base_size: BaseSizeConfig = OWN_SIZE
) -> EmbeddedImage:
    """Segment an image at `base_size` and sample embedded pixels of each class.

    The embedding is the output of the projection, which evaluation does not use otherwise; without a projection, it is
    the L2-normalised tap. `model` must be in evaluation mode.
    """
    outputs: list[HeadOutput] = []
    listener = model.head.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        logits_BCHW = model(image_tensor(pair[0], base_size)[None].to(device)).logits_BCHW
    finally:
        listener.remove()
    tap_BEhw = outputs[0].tap_BEhw
    embedding_BDhw = F.normalize(tap_BEhw.float(), dim=1) if model.projection is None else model.projection(tap_BEhw)
    height, width = pair[1].shape
    label_HW = resize_label(pair[1], *base_size.resized(height, width))
    label_hw = reduced_label(label_HW, model.backbone.size_multiple, embedding_BDhw)
    chosen_N = torch.cat([spread_positions(label_hw == name) for name in range(classes)])
    embedding_ND = embedding_BDhw[0].flatten(1).T.cpu()[chosen_N]
    prediction_HW = resize(logits_BCHW, (height, width)).argmax(dim=1)[0].byte().cpu().numpy()
    return EmbeddedImage(prediction_HW, embedding_ND.numpy(), label_hw.flatten()[chosen_N].numpy())


def reduced_label(label_HW: Tensor, multiple: int, embedding_BDhw: Tensor) -> Tensor:
    """The label at the size of the embedding; where the model padded the image, it is void."""
    label_1HW = label_HW.to(torch.int64)[None]
    height, width = label_1HW.shape[-2:]
    padded_1HW = F.pad(label_1HW, (0, -width % multiple, 0, -height % multiple), value=IGNORE_INDEX)
    return reduce_nearest(padded_1HW, (embedding_BDhw.shape[2], embedding_BDhw.shape[3]))[0]


def spread_positions(chosen_hw: Tensor) -> Tensor:
    """At most `PIXELS_PER_CLASS` evenly spaced flat positions where `chosen_hw` is True."""
    position_N = chosen_hw.flatten().nonzero().flatten()
    step = max(1, -(-len(position_N) // PIXELS_PER_CLASS))
    return position_N[step // 2 :: step]


def principal_components(points_ND: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """The points in their two directions of largest variance, (N, 2), and the share of variance in them.

    The largest component of each direction is positive, so that equal points give equal pictures.
    """
    centred_ND = points_ND.astype(np.float64) - points_ND.mean(axis=0)
    variance_D, direction_DD = np.linalg.eigh(centred_ND.T @ centred_ND)
    direction_D2 = direction_DD[:, [-1, -2]]
    largest = np.abs(direction_D2).argmax(axis=0)
    direction_D2 = direction_D2 * np.where(direction_D2[largest, [0, 1]] < 0, -1, 1)
    total = float(variance_D.sum())
    return centred_ND @ direction_D2, float(variance_D[-2:].sum()) / total if total > 0 else 1.0


def draw_embedding(images: Sequence[EmbeddedImage], names: Sequence[str], palette: Sequence[Colour]) -> Image.Image:
    """Draw all points in one plane, in random order, so that no class covers the others."""
    embedding_ND = np.concatenate([item.embedding_ND for item in images])
    label_N = np.concatenate([item.label_N for item in images])
    bottom = SIDE + LINE
    picture = Image.new("RGB", (SIDE, bottom + legend_height(len(names), SIDE)), WHITE)
    pen = ImageDraw.Draw(picture)
    draw_legend(picture, bottom, names, palette)
    if len(embedding_ND) < 2:
        pen.text((4, 2), "no labelled pixels", fill=BLACK, font=FONT)
        return picture
    plane_N2, share = principal_components(embedding_ND)
    pen.text((4, 2), f"PCA of the embedding: 2 components hold {100 * share:.0f} % of the variance", BLACK, FONT)
    low, high = plane_N2.min(axis=0), plane_N2.max(axis=0)
    point_N2 = BORDER + (plane_N2 - low) / max(float((high - low).max()), 1e-12) * (SIDE - 2 * BORDER)
    for index in np.random.default_rng(0).permutation(len(label_N)):
        x, y = float(point_N2[index, 0]), float(bottom - point_N2[index, 1])
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=palette[label_N[index]], outline=(90, 90, 90))
    return picture
