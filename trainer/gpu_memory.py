"""The share of a GPU's memory that a process may take: waits until it is free, then limits the process to it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import torch

from trainer.errors import DeviceBusyError

__all__ = ["limited_memory", "memory_fraction", "release_memory", "wait_for_memory"]

WAIT_SECONDS = 60.0
POLL_SECONDS = 2.0

FREE_FRACTION = 0.9
"""Fraction of its share that must be free: the CUDA contexts of other trials take a little outside their shares."""

CONTEXT_BYTES = 0.6e9
"""What CUDA itself takes in a process, outside torch's allocator: its context and the kernels that it has loaded."""

CONTEXT_SHARE = 1 / 11
"""Most of a small share that is kept back for the context; the orchestrator plans with as much headroom."""


@contextmanager
def limited_memory(device: torch.device, share: float | None) -> Iterator[None]:
    """Run the body with at most `share` of the memory of a CUDA `device`, once that much is free.

    So a trial that needs more than its share fails itself, and not the trials beside it. Does nothing for a CPU. None:
    the whole device without waiting. Raises DeviceBusyError when the memory is not free after a minute.
    """
    if device.type != "cuda" or share is None:
        yield
        return
    share = min(share, 1.0)
    release_memory()  # what an earlier trial of this process has left in torch's cache is free
    wait_for_memory(lambda: torch.cuda.mem_get_info(device), share)
    total = torch.cuda.mem_get_info(device)[1]
    torch.cuda.set_per_process_memory_fraction(memory_fraction(share, total), device)
    try:
        yield
    finally:
        with suppress(RuntimeError):  # after some errors every call of CUDA fails; the first error is the one to report
            torch.cuda.set_per_process_memory_fraction(1.0, device)


def memory_fraction(share: float, total: int) -> float:
    """The fraction of `total` bytes that torch may allocate, so that the process as a whole stays within `share`."""
    if share >= 1:
        return 1.0
    return share - min(CONTEXT_BYTES / total, CONTEXT_SHARE * share)


def release_memory() -> None:
    """Return the memory that this process no longer uses to its GPUs; does nothing if it has not opened CUDA."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return
    gc.collect()
    with suppress(RuntimeError):  # as above
        torch.cuda.empty_cache()


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
