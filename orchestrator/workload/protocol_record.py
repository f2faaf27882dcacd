"""How a figure is measured: the data, the size of the images and the views of the evaluation, of ours and of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["BaseSizeRecord", "Evaluation", "ProtocolRecord", "evaluation_of"]

Evaluation: TypeAlias = Literal["single_scale", "flip", "multi_scale", "multi_scale_flip", "unknown"]
"""`single_scale` and `multi_scale_flip` are the presets of `evaluation.preset`; `flip` is one scale and mirrored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseSizeRecord:
    """The side to which images are resized first; without one they keep their own size."""

    short: int | None = None
    """Pixels."""
    long: int | None = None
    """Pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolRecord:
    """How a figure is measured; what nobody says is unknown."""

    data: str = "unknown"
    """`data.name`."""
    train_split: str = "unknown"
    split: str = "unknown"
    """The split that the figure is of."""
    evaluation: Evaluation = "unknown"
    scales: tuple[float, ...] | None = None
    """Factors of the image size; None: not stated."""
    window: tuple[int, int] | None = None
    """Height and width of a sliding window, pixels; None: whole images."""
    base_size: BaseSizeRecord | None = None
    """None: unknown."""


def evaluation_of(scales: tuple[float, ...], flip: bool) -> Evaluation:
    """The kind of evaluation with these scales."""
    if scales == (1.0,):
        return "flip" if flip else "single_scale"
    return "multi_scale_flip" if flip else "multi_scale"
