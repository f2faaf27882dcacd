"""ExportedModel: the trained model of a trial, ready to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ExportedModel"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedModel:
    """The trained model of a trial, as MLflow keeps it."""

    network: Any
    """A `torch.nn.Module` in evaluation mode on the CPU, which maps a tensor to a tensor. MLflow stores what
    `torch.export` makes of it, so that loading it needs none of its classes."""
    example: Any
    """A batch for it, an array of NumPy; with two items or more, so that MLflow takes batches of any size."""
    requirements: tuple[str, ...] = ("torch", "numpy")
    """Names of the installed distributions that loading and running it needs."""
