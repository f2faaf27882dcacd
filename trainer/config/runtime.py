"""How a trial is run."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config.field_markers import require

__all__ = ["Runtime"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """How a trial is run: nothing here may change its result by more than rounding, so it is not in its identity.

    One exception is bought with speed: several `ranks` draw other dropout masks, and Lovász and OHEM sort the pixels
    of a rank by themselves (`trainer.step`).
    """

    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu` or `cuda`."""
    ranks: int = 1
    """Processes of this machine that train the trial together, each on an equal part of every batch: data-parallel
    training. Each has a CUDA device of its own where there are so many, else they share what there is."""
    threads: int = 1
    """CPU threads of torch in the training process, in each of several."""
    loader_workers: int = 0
    """Extra processes that read and augment images, for each rank; 0 does it in the training process."""
    log_every_steps: int = 10
    """Steps between `train/...` points."""
    checkpoint_every_steps: int = 50
    """Steps between checkpoints; an interrupted trial goes on from the last one."""

    def __post_init__(self) -> None:
        require(self.ranks >= 1, "runtime.ranks", "must be at least 1")
        require(self.threads >= 1, "runtime.threads", "must be at least 1")
        require(self.loader_workers >= 0, "runtime.loader_workers", "must not be negative")
        require(self.log_every_steps >= 1, "runtime.log_every_steps", "must be at least 1")
        require(self.checkpoint_every_steps >= 1, "runtime.checkpoint_every_steps", "must be at least 1")
