"""Data-parallel training: what every rank must know of the others. Without a process group all of it does nothing.

The global batch is split into equal, consecutive parts, one for each rank; what is gathered is in the order of the
ranks, which therefore is that of the global batch.
Axes: B images of this rank, N images of all ranks, h w embedding map, D embedding width, R any number of positions.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.errors import TrainerError
from trainer.launch import Seat

__all__ = [
    "data_parallel",
    "gather_images",
    "is_distributed",
    "own_images",
    "process_group",
    "rank",
    "rank_0_first",
    "rank_device",
    "rows_of_all_ranks",
    "state_hash",
    "sum_over_ranks",
    "world_size",
]


def is_distributed() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """Number of this process, 0 for the first or only one."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if is_distributed() else 1


def rank_device(name: str, number: int = 0) -> torch.device:
    """Return the device of rank `number`, `name` being `runtime.device`.

    Each rank has a CUDA device of its own where there are enough; else they go round those there are. A single process
    takes the current one. Raises TrainerError for a device that this machine lacks.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainerError(f"runtime.device: {name!r}, but torch sees no CUDA device; use auto or cpu")
    return torch.device("cuda", (torch.cuda.current_device() + number) % torch.cuda.device_count())


@contextmanager
def process_group(seat: Seat, device: torch.device) -> Iterator[None]:
    """Join the other ranks for the body: through NCCL if each has a CUDA device of its own, else through gloo.

    NCCL refuses two ranks on one device. After an error nobody is waited for: whoever started the ranks ends them.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    own_device = device.type == "cuda" and torch.cuda.device_count() >= seat.ranks and dist.is_nccl_available()
    if not own_device and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are here, whatever the host name resolves to
    dist.init_process_group(
        "nccl" if own_device else "gloo",
        init_method=seat.meeting.as_uri(),
        rank=seat.rank,
        world_size=seat.ranks,
        device_id=device if own_device else None,
    )
    yield
    dist.destroy_process_group()


@contextmanager
def rank_0_first() -> Iterator[None]:
    """Run the body on rank 0, then on the others."""
    if rank() > 0:
        dist.barrier()
    yield
    if is_distributed() and rank() == 0:
        dist.barrier()


def data_parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """Return `model` as a module whose backward pass averages gradients over the ranks; alone, the model itself."""
    if not is_distributed():
        return model
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices)


@torch.no_grad()
def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of a tensor over the ranks, without gradient; alone, the tensor itself."""
    if not is_distributed():
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


@torch.no_grad()
def gather_images(image_B: Tensor) -> Tensor:
    """Tensors (B, ...) of all ranks as one (N, ...), in the order of the ranks; without gradient.

    All ranks must call it, with equal shapes: the result is the tensor that one process with the whole batch would
    have, in the same layout (sums over another layout round otherwise).
    """
    if not is_distributed():
        return image_B
    is_last = image_B.ndim == 4 and image_B.is_contiguous(memory_format=torch.channels_last)
    own_B = image_B.detach().movedim(1, -1) if is_last else image_B.detach().contiguous()
    parts = [torch.empty_like(own_B) for _ in range(world_size())]
    dist.all_gather(parts, own_B)
    gathered_B = torch.cat(parts)
    return gathered_B.movedim(-1, 1) if is_last else gathered_B


def own_images(image_N: Tensor) -> Tensor:
    """Return the part (B, ...) of this rank of what `gather_images` returned, as a view."""
    return image_N.chunk(world_size())[rank()]


def rows_of_all_ranks(row_RD: Tensor, image_R: Tensor, images: int) -> Tensor:
    """Rows (R, D) that lie on several ranks: each from the rank that holds its image.

    `row_RD` are the rows that this rank has for them, anything where image number `image_R` (of N) is not one of its
    `images`. Own rows keep their gradient, the others are constants. It moves R rows, where gathering the maps they
    are read from would move them all. Alone, the rows are returned as they are.
    """
    if not is_distributed():
        return row_RD
    is_own_R1 = (image_R // images == rank())[:, None]
    return torch.where(is_own_R1, row_RD, sum_over_ranks(row_RD.detach().where(is_own_R1, 0)))


def state_hash(module: nn.Module) -> str:
    """SHA-256 over names and bytes of a module's state, to check that ranks agree; waits for the device."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
