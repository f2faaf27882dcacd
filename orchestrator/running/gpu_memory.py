"""The GPU of a worker: its free memory is checked and its share of the memory is capped before a trial starts."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["DeviceBusyError", "claim", "wait_for_memory"]

WAIT_SECONDS = 60.0
POLL_SECONDS = 2.0
SPARE_SHARE = 0.9
"""A trial starts when so much of its share is free: contexts of its neighbours take a little outside their caps."""


class DeviceBusyError(RuntimeError):
    """Something else holds the GPU's memory: an earlier trial's leftovers, or a stranger's process."""


def claim(gpus: float) -> None:
    """Make ready for a trial that holds `gpus` of a GPU; does nothing without one.

    A fraction of a GPU is logical to Ray; here it becomes a cap on what this process may allocate, so that a trial
    that outgrows its share fails by itself and not its neighbours. Raises DeviceBusyError when the memory of the
    share is not free after a minute.
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
    """Return once `share` of the memory is free. `read` gives free and total bytes. Raises DeviceBusyError."""
    waited = 0.0
    while True:
        free, total = read()
        if free >= SPARE_SHARE * share * total:
            return
        if waited >= wait_seconds:
            raise DeviceBusyError(
                f"the GPU has {free / 1e9:.1f} of {total / 1e9:.1f} GB free, this trial's share is {share:g} of it; "
                "end what else runs there (nvidia-smi), or lower resources.gpus"
            )
        sleep(POLL_SECONDS)
        waited += POLL_SECONDS
