"""Communication between the ranks of data-parallel training; without a process group, every function is a no-op.

The global batch is split into equal, consecutive parts, one per rank. Gathered tensors are in the order of the ranks,
which is therefore the order of the global batch.
Axes: B images of this rank, N images of all ranks, h w embedding map, D embedding width, R any number of positions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.errors import TrainerError
from trainer.launch import RankInfo

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
    "sum_over_ranks",
    "world_size",
]


def is_distributed() -> bool:
    """Whether several ranks train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def rank() -> int:
    """Rank of this process; 0 for a single process."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """Number of ranks; 1 for a single process."""
    return dist.get_world_size() if is_distributed() else 1


def rank_device(name: str, number: int = 0) -> torch.device:
    """The device of rank `number` for `runtime.device` = `name`.

    Each rank has its own CUDA device if there are enough; otherwise ranks share them in turn. A single process uses the
    current device. Raises TrainerError if this machine has no such device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise TrainerError(f"runtime.device: {name!r}, but torch sees no CUDA device; use auto or cpu")
    return torch.device("cuda", (torch.cuda.current_device() + number) % torch.cuda.device_count())


@contextmanager
def process_group(info: RankInfo, device: torch.device) -> Iterator[None]:
    """Join the other ranks for the body: with NCCL if each has its own CUDA device, else with gloo.

    NCCL does not allow two ranks on one device. After an error it does not wait: the parent process ends all ranks.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    own_device = device.type == "cuda" and torch.cuda.device_count() >= info.ranks and dist.is_nccl_available()
    if not own_device and sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are local, whatever the host name resolves to
    dist.init_process_group(
        "nccl" if own_device else "gloo",
        init_method=info.rendezvous.as_uri(),
        rank=info.rank,
        world_size=info.ranks,
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
    """Wrap `model` so that its backward pass averages gradients over the ranks; the model itself for one rank."""
    if not is_distributed():
        return model
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices)


@torch.no_grad()
def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over the ranks, without gradient; the tensor itself for one rank."""
    if not is_distributed():
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


@torch.no_grad()
def gather_images(image_B: Tensor) -> Tensor:
    """Concatenate the tensors (B, ...) of all ranks to (N, ...), in the order of the ranks; without gradient.

    All ranks must call it with equal shapes. The result has the memory layout of its parts, because sums over another
    layout round differently.
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
    """The part (B, ...) of this rank of a tensor (N, ...) from `gather_images`, as a view."""
    return image_N.chunk(world_size())[rank()]


def rows_of_all_ranks(row_RD: Tensor, image_R: Tensor, images: int) -> Tensor:
    """Rows (R, D), each from the rank that holds its image; unchanged for a single rank.

    `row_RD` are this rank's values, arbitrary where image number `image_R` (of N) is not one of its `images`. Rows of
    this rank keep their gradient, the others are constants. Only R rows are sent instead of whole embedding maps.
    """
    if not is_distributed():
        return row_RD
    is_own_R1 = (image_R // images == rank())[:, None]
    return torch.where(is_own_R1, row_RD, sum_over_ranks(row_RD.detach().where(is_own_R1, 0)))
