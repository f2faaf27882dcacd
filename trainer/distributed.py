"""Data-parallel training: what every rank must know of the others. Without a process group all of it does nothing.

Axes: B images of this rank, H W their size, N images of all ranks.
"""

from __future__ import annotations

import hashlib

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["gather_images", "is_distributed", "rank", "state_hash", "world_size"]


def is_distributed() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if is_distributed() else 1


@torch.no_grad()
def gather_images(image_B: Tensor) -> Tensor:
    """Tensors (B, ...) of all ranks as one (N, ...), in the order of the ranks; without gradient.

    All ranks must call it, with equal shapes: the global batch is split into equal, consecutive parts, so the
    result is the tensor that one process with the whole batch would have, in the same layout (sums over another
    layout round otherwise).
    """
    if not is_distributed():
        return image_B
    is_last = image_B.ndim == 4 and image_B.is_contiguous(memory_format=torch.channels_last)
    own_B = image_B.detach().movedim(1, -1) if is_last else image_B.detach().contiguous()
    parts = [torch.empty_like(own_B) for _ in range(world_size())]
    dist.all_gather(parts, own_B)
    gathered_B = torch.cat(parts)
    return gathered_B.movedim(-1, 1) if is_last else gathered_B


def state_hash(module: nn.Module) -> str:
    """SHA-256 over names and bytes of a module's state, to check that ranks agree; waits for the device."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
