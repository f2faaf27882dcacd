"""Copies tensors to a GPU while it computes."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

__all__ = ["host_memory", "upload"]


def host_memory(size: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """An uninitialised tensor on the host: pinned, if it will be copied to a GPU.

    PyTorch keeps pinned memory for reuse. What was freed while a copy from it is under way is not reused before the
    copy has ended, so a tensor may be dropped as soon as `upload` has returned.
    """
    return torch.empty(size, dtype=dtype, pin_memory=device.type == "cuda")


def upload(device: torch.device, *tensors: Tensor) -> list[Tensor]:
    """Copies of pinned `tensors` on `device`, to be used on its current stream.

    They are copied on a stream of their own, so a copy waits for none of the work that is queued on the GPU, and the
    host waits for no copy. On a CPU the tensors themselves are returned.
    """
    if device.type != "cuda":
        return [tensor.to(device) for tensor in tensors]
    copying, current = copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(copying):
        copies = [tensor.to(device, non_blocking=True) for tensor in tensors]
    current.wait_stream(copying)
    for copy in copies:  # their memory belongs to the other stream, which must not reuse it before this one has used it
        copy.record_stream(current)
    return copies


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which this process copies to `device`."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
