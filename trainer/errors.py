"""Errors of the trainer that a user can cause.

TrainerError
├── DataError      a missing folder, an image without label, a label id out of range
├── WeightsError   pretrained weights that cannot be found or do not fit
├── DivergedError  the loss is no longer finite
└── RankLostError  one of several processes of a trial died
"""

from __future__ import annotations

__all__ = ["DataError", "DivergedError", "RankLostError", "TrainerError", "WeightsError"]


class TrainerError(Exception):
    """Base of all; the message is one line and names the remedy."""


class DataError(TrainerError):
    """The data on disk is not what the data set's layout promises."""


class WeightsError(TrainerError):
    """Pretrained weights are missing or do not fit the backbone."""


class DivergedError(TrainerError):
    """The loss became NaN or infinite."""


class RankLostError(TrainerError):
    """A process of a data-parallel trial died without a word: killed, mostly for lack of memory."""
