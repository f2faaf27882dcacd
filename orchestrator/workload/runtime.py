"""How a trial runs."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.workload.fields import require

__all__ = ["Runtime"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """How a trial runs. Not part of its identity, because it changes the result by rounding only.

    With one exception: several `ranks` use different dropout masks, and Lovász and OHEM sort the pixels of each rank
    separately (`trainer.step`).
    """

    device: str = "auto"
    """`auto` (CUDA if available), `cpu` or `cuda`."""
    ranks: int = 1
    """Data-parallel processes on this machine; each trains on an equal part of every batch. Each has its own CUDA
    device if there are enough; otherwise they share devices."""
    gpu_share: float | None = None
    """Share of the memory of its CUDA device that each rank takes, at most 1: it waits until that much is free, and
    cannot allocate more. None: neither."""
    threads: int = 1
    """CPU threads of torch per rank."""
    loader_threads: int | None = None
    """Threads per rank that make the next batches; 0: the training thread makes them. Not set: as many as `threads`, up
    to 8, on a GPU, and 0 on a CPU. Batches do not depend on it."""
    resident_gigabytes: float = 2.0
    """Largest training split, decoded, that a GPU holds in its memory and augments itself, GB (1e9 bytes) per rank; 0:
    none. Images then differ by rounding. It counts in the memory that a trial needs."""
    log_every_steps: int = 10
    """Steps between `train/...` points."""
    checkpoint_every_steps: int = 50
    """Steps between checkpoints; an interrupted trial resumes from the last one."""
    accepted_code: tuple[str, ...] = ()
    """Digests of other code of the trainer (`trainer.code_digest`) whose checkpoints are resumed all the same; the
    result says so. Checkpoints of any other code are ignored, unless it is proven equal."""

    def __post_init__(self) -> None:
        require(self.ranks >= 1, "runtime.ranks", "must be at least 1")
        require(self.gpu_share is None or 0 < self.gpu_share <= 1, "runtime.gpu_share", "must be above 0 and at most 1")
        require(self.threads >= 1, "runtime.threads", "must be at least 1")
        loader = self.loader_threads
        require(loader is None or loader >= 0, "runtime.loader_threads", "must not be negative")
        require(self.resident_gigabytes >= 0, "runtime.resident_gigabytes", "must not be negative")
        require(self.log_every_steps >= 1, "runtime.log_every_steps", "must be at least 1")
        require(self.checkpoint_every_steps >= 1, "runtime.checkpoint_every_steps", "must be at least 1")
