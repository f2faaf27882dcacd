"""How the pixels of a trial get to its device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainer.config import Runtime
from trainer.data.source import Source

__all__ = ["AHEAD", "CPU", "IN_TRAINING_THREAD", "MOST_LOADER_THREADS", "Loader", "decoded_bytes"]

AHEAD = 2
"""Batches that loader threads begin before they are needed. The host's memory holds them, the batch that is used, and
the one that is begun next."""

MOST_LOADER_THREADS = 8
"""Of a trial on a GPU, unless `Runtime.loader_threads` is set."""

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """How the pixels of a trial get to its device; a function of config, data and runtime."""

    threads: int = 0
    """Threads that make the next batches; with 0 the training thread makes each when it is needed."""
    resident_bytes: int = 0
    """Size of the training split if the device holds it and makes the training batches; else 0."""

    @classmethod
    def of(cls, runtime: Runtime, device: torch.device, source: Source, train_split: str) -> Loader:
        """The loader of a trial on `device`.

        On a GPU there is at least one thread, even if the trial has one CPU: the training thread releases the
        interpreter's lock while it waits for the GPU. On a CPU the training thread makes the batches, because training
        keeps all cores of the trial busy.
        """
        on_gpu = device.type == "cuda"
        threads = runtime.loader_threads
        if threads is None:
            threads = min(runtime.threads, MOST_LOADER_THREADS) if on_gpu else 0
        most = int(runtime.resident_gigabytes * 1e9) if on_gpu else 0
        size = decoded_bytes(source, train_split, most) if most else 0
        return cls(threads=threads, resident_bytes=size if size <= most else 0)

    @property
    def resident(self) -> bool:
        """Whether the device holds the training split."""
        return self.resident_bytes > 0

    def __str__(self) -> str:
        """As the record of an attempt shows it."""
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}" if self.threads else "training thread"
        return (
            f"{threads}, training split on the device ({self.resident_bytes / 1e9:.2f} GB)"
            if self.resident
            else threads
        )


IN_TRAINING_THREAD = Loader()
"""Nothing is done ahead."""


def decoded_bytes(source: Source, split: str, most: int) -> int:
    """Bytes of the pixels and labels of a split, from the headers of its files; counting ends above `most`."""
    total = 0
    for width, height in source.sizes(split):
        total += 4 * width * height
        if total > most:
            break
    return total
