"""How the pixels of a trial get to its device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainer.config import Runtime

__all__ = ["IN_TRAINING_THREAD", "MOST_LOADER_THREADS", "Loader"]

MOST_LOADER_THREADS = 8
"""Of a trial on a GPU, unless `Runtime.loader_threads` is set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """How the pixels of a trial get to its device; a function of config and runtime. Batches do not depend on it."""

    threads: int = 0
    """Threads that make the next batches; with 0 the training thread makes each when it is needed."""

    @classmethod
    def of(cls, runtime: Runtime, device: torch.device) -> Loader:
        """The loader of a trial on `device`.

        On a GPU there is at least one thread, even if the trial has one CPU: the training thread releases the
        interpreter's lock while it waits for the GPU. On a CPU the training thread makes the batches, because training
        keeps all cores of the trial busy.
        """
        threads = runtime.loader_threads
        if threads is None:
            threads = min(runtime.threads, MOST_LOADER_THREADS) if device.type == "cuda" else 0
        return cls(threads=threads)

    def __str__(self) -> str:
        """As the record of an attempt shows it."""
        return f"{self.threads} thread{'' if self.threads == 1 else 's'}" if self.threads else "training thread"


IN_TRAINING_THREAD = Loader()
"""Nothing is done ahead."""
