"""How a trial is run."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config.knobs import require

__all__ = ["Runtime"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """How a trial is run: nothing here may change its result, so nothing here is part of its identity."""

    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu` or `cuda`."""
    threads: int = 1
    """CPU threads of torch in the training process."""
    loader_workers: int = 0
    """Extra processes that read and augment images; 0 does it in the training process."""
    log_every_steps: int = 10
    """Steps between `train/...` points."""
    checkpoint_every_steps: int = 50
    """Steps between checkpoints; an interrupted trial goes on from the last one."""

    def __post_init__(self) -> None:
        require(self.threads >= 1, "runtime.threads", "must be at least 1")
        require(self.loader_workers >= 0, "runtime.loader_workers", "must not be negative")
        require(self.log_every_steps >= 1, "runtime.log_every_steps", "must be at least 1")
        require(self.checkpoint_every_steps >= 1, "runtime.checkpoint_every_steps", "must be at least 1")
