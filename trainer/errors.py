"""Errors of the trainer.

TrainerError
├── DataError        a missing folder, an image without a label, a label id out of range
├── WeightsError     pretrained weights that are missing or do not fit the backbone
├── DivergedError    the loss is no longer finite
├── RankLostError    a process of a data-parallel trial died
└── DeviceBusyError  other processes use the memory of the GPU

A plugin that cannot be loaded raises PluginError (`orchestrator.plugins.error`).
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DeviceBusyError",
    "DivergedError",
    "RankLostError",
    "TrainerError",
    "WeightsError",
]


class TrainerError(Exception):
    """Base class; the message is one line and names the remedy."""


class DataError(TrainerError):
    """The files on disk do not match the layout of the data set."""


class WeightsError(TrainerError):
    """Pretrained weights are missing or do not fit the backbone."""


class DeviceBusyError(TrainerError):
    """Other processes use the GPU's memory: an earlier trial that has not ended yet, or somebody else's."""


class DivergedError(TrainerError):
    """The loss became NaN or infinite."""


class RankLostError(TrainerError):
    """A process of a data-parallel trial died without an exception; usually it was killed for lack of memory."""
