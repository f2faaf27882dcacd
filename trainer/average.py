"""An exponential moving average of the weights, evaluated instead of the weights (Polyak averaging)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from trainer.models.segmentor import Segmentor

__all__ = ["WeightAverage"]


class WeightAverage:
    """A copy of a model, updated after each step: average = decay * average + (1 - decay) * weights.

    In the first steps the decay is lower, (1 + step) / (10 + step), so that the random initialisation fades quickly.
    Batch-norm statistics are averaged like weights; integer counters are copied.
    """

    def __init__(self, model: Segmentor, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(False).eval()
        self.decay = decay

    def update(self, model: Segmentor, step: int) -> None:
        """Update the average with the weights after step `step` (0-based)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = []
        values: list[Tensor] = []
        with torch.no_grad():
            for average, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
                if average.is_floating_point():
                    averages.append(average)
                    values.append(value)
                else:
                    average.copy_(value)
        get_ema_multi_avg_fn(decay)(averages, values, step)  # type: ignore[no-untyped-call]

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the averaged weights."""
        state: Mapping[str, Tensor] = self.model.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the averaged weights of a checkpoint."""
        self.model.load_state_dict(state)
