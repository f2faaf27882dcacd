"""The GPU memory of a worker: before a trial starts, waits until its share is free and limits the process to it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["DeviceBusyError", "reserve_memory", "wait_for_memory"]

WAIT_SECONDS = 60.0
POLL_SECONDS = 2.0
FREE_FRACTION = 0.9
"""Fraction of its share that must be free: the CUDA contexts of other trials take a little outside their shares."""


class DeviceBusyError(RuntimeError):
    """Another process uses the GPU's memory: an earlier trial that has not ended yet, or somebody else's process."""


def reserve_memory(gpus: float) -> None:
    """Prepare this process for a trial that takes `gpus` of a GPU; does nothing without a GPU.

    Ray does not enforce fractions of a GPU. Here the fraction limits what this process may allocate, so that a trial
    that needs more than its share fails itself, and not the trials beside it. Raises DeviceBusyError when the memory
    is not free after a minute.
    """
    if gpus <= 0:
        return
    import torch

    if not torch.cuda.is_available():
        return
    share = min(gpus, 1.0)
    wait_for_memory(torch.cuda.mem_get_info, share)
    torch.cuda.set_per_process_memory_fraction(share)


def wait_for_memory(
    read: Callable[[], tuple[int, int]],
    share: float,
    *,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once `share` of the memory is free. `read` returns free and total bytes. Raises DeviceBusyError."""
    waited = 0.0
    while True:
        free, total = read()
        if free >= FREE_FRACTION * share * total:
            return
        if waited >= wait_seconds:
            raise DeviceBusyError(
                f"the GPU has {free / 1e9:.1f} of {total / 1e9:.1f} GB free, but this trial needs {share:g} of it; "
                "stop other processes on the GPU (nvidia-smi lists them), or lower resources.gpus"
            )
        sleep(POLL_SECONDS)
        waited += POLL_SECONDS
