"""Two processes with half a batch each keep the bank of one process with all of it (method.md, defect 7)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from trainer.config import ContrastConfig, MemoryConfig
from trainer.contrast import PixelContrast
from trainer.distributed import gather_images, is_distributed, rank, state_hash, world_size

PUSHES = 5


def module(dtype: str | None = None) -> PixelContrast:
    memory = MemoryConfig(pixels_per_class=30, regions_per_class=6, pixels_per_image=3, dtype=dtype)
    return PixelContrast(ContrastConfig(embedding_dim=8, memory=memory), 5)


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The global batch of a step: 4 images."""
    generator = torch.Generator().manual_seed(100 + step)
    embedding_BDhw = F.normalize(torch.randn(4, 8, 6, 7, generator=generator), dim=1)
    return embedding_BDhw.contiguous(memory_format=torch.channels_last), torch.randint(
        0, 6, (4, 24, 28), generator=generator
    )


def train(part: slice, dtype: str | None) -> str:
    """Push a part of every global batch, as the training step does; the hash of the bank."""
    contrast = module(dtype)
    for step in range(PUSHES):
        embedding_BDhw, label_BHW = batch(step)
        contrast.push(embedding_BDhw[part], label_BHW[part], generator=torch.Generator().manual_seed(step))
    return state_hash(contrast)


def one_rank(number: int, port: int, folder: str, dtype: str | None) -> None:
    torch.set_num_threads(1)
    address = f"tcp://localhost:{port}"
    dist.init_process_group("gloo", init_method=address, rank=number, world_size=2)
    try:
        assert (is_distributed(), rank(), world_size()) == (True, number, 2)
        gathered = gather_images(torch.full((2, 3), float(number), requires_grad=True))
        assert gathered.tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
        found = train(slice(2 * number, 2 * number + 2), dtype)
        (Path(folder) / str(number)).write_text(found)
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_defect_7_both_ranks_hold_the_bank_of_the_whole_batch(tmp_path, dtype):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    mp.spawn(one_rank, args=(port, str(tmp_path), dtype), nprocs=2)
    hashes = [(tmp_path / str(number)).read_text() for number in range(2)]
    assert hashes == [train(slice(None), dtype)] * 2
    assert hashes[0] != train(slice(2), dtype), "half of the images fill another bank"


def test_without_a_process_group_nothing_happens():
    value = torch.ones(2, requires_grad=True)
    assert gather_images(value) is value
    assert (is_distributed(), rank(), world_size()) == (False, 0, 1)


def test_a_hash_sees_every_bit():
    contrast = module()
    before = state_hash(contrast)
    contrast.bank.contents()[0].embedding_CKD[0, 0, 0] = 1e-30
    assert state_hash(contrast) != before
