"""The contrastive segmentation trainer: `from trainer import TrainConfig, train`.

Of the other packages it imports only `orchestrator.workload` and `orchestrator.machine`; no ray, mlflow or pydantic.
"""

from __future__ import annotations

import trainer.installed_packages  # noqa: F401 - before anything else

# isort: split
from typing import TYPE_CHECKING, Any

from trainer.config import Runtime, TrainConfig
from trainer.errors import DataError, DivergedError, RankLostError, TrainerError, WeightsError

if TYPE_CHECKING:
    from trainer.run import train

__all__ = [
    "DataError",
    "DivergedError",
    "RankLostError",
    "Runtime",
    "TrainConfig",
    "TrainerError",
    "WeightsError",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import the training loop, and torch with it, on first use only, because planning needs neither."""
    if name == "train":
        from trainer.run import train

        return train
    raise AttributeError(f"module 'trainer' has no attribute {name!r}")
