"""The memory forecast of the contrast path compared with what torch allocates on a CPU and on CUDA."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import benchmarks.contrast_memory as contrast_memory
import trainer.contrast.alignment as alignment
from benchmarks.contrast_memory import forecast_contrast
from trainer.build import build_contrast
from trainer.config import AnchorConfig, ContrastConfig, MemoryConfig, MiningConfig
from trainer.contrast import ANCHOR_SAMPLERS, MEMORIES, MINERS, PixelContrast

EVERYTHING = 10**7


class Case:
    """A filled bank, a mini-batch, and the two halves of a step."""

    def __init__(self, config: ContrastConfig, classes: int, images: int, map_size: tuple[int, int], device: str):
        self.generator = torch.Generator(device).manual_seed(0)
        self.module: PixelContrast = build_contrast(config, classes).to(device)
        for queue in self.module.bank.contents():
            queue.embedding_CKD.normal_(generator=self.generator)
            queue.count_C.fill_(queue.capacity)
        shape = (images, config.embedding_dim, *map_size)
        embedding_BDhw = torch.randn(shape, generator=self.generator, device=device)
        self.embedding_BDhw = embedding_BDhw.contiguous(memory_format=torch.channels_last).requires_grad_()
        size = (2, images, 4 * map_size[0], 4 * map_size[1])
        self.maps = torch.randint(0, classes, size, generator=self.generator, device=device)

    def compare(self) -> None:
        self.module(self.embedding_BDhw, *self.maps, generator=self.generator).loss.backward()
        self.embedding_BDhw.grad = None

    def push(self) -> None:
        self.module.push(self.embedding_BDhw.detach(), self.maps[0], generator=self.generator)

    def bank_bytes(self) -> int:
        kept = [(queue.embedding_CKD, queue.purity_CK) for queue in self.module.bank.contents()]
        return sum(value.nbytes for pair in kept for value in pair)


def allocated_bytes(action: Callable[[], None]) -> int:
    """Peak of what torch's CPU allocator hands out during `action`, above what it had handed out before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        action()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def draw_case(seed: int) -> tuple[ContrastConfig, int, int, tuple[int, int]]:
    chance = random.Random(seed)
    config = ContrastConfig(
        source=chance.choice(["inter_image", "inter_image", "intra_image"]),
        embedding_dim=chance.choice([16, 64, 256]),
        keys_per_class=chance.choice([20, 100, None]),
        anchors=AnchorConfig(kind=chance.choice(list(ANCHOR_SAMPLERS)), per_class=chance.choice([5, 50])),
        mining=MiningConfig(
            kind=chance.choice(list(MINERS)),
            positives=chance.choice([16, 1024]),
            negatives=chance.choice([32, 2048, EVERYTHING]),
            hard_fraction=chance.choice([0.1, 0.5]),
        ),
        memory=MemoryConfig(
            kind=chance.choice(list(MEMORIES)),
            pixels_per_class=chance.choice([100, 1000]),
            regions_per_class=chance.choice([20, 300]),
            dtype=chance.choice([None, "bfloat16"]),
        ),
    )
    return config, chance.choice([2, 11, 19]), chance.choice([2, 4]), chance.choice([(12, 16), (48, 60)])


@pytest.mark.parametrize("seed", range(24))
def test_the_forecast_is_what_torch_allocates(seed):
    config, classes, images, map_size = draw_case(seed)
    forecast = forecast_contrast(config, classes=classes, images=images, map_size=map_size, device="cpu")
    case = Case(config, classes, images, map_size, "cpu")
    assert forecast.bank == case.bank_bytes()
    step = max(allocated_bytes(case.compare), allocated_bytes(case.push))
    assert forecast.peak - forecast.bank == pytest.approx(step, rel=0.2, abs=5e5)


def test_the_paper_s_setting_by_hand():
    """Cityscapes size: the peak above the bank is the similarities of 206 anchors, and the keys with their gradient."""
    config = ContrastConfig(
        anchors=AnchorConfig(per_class=54), memory=MemoryConfig(kind="pixel", pixels_per_class=10_000)
    )
    forecast = forecast_contrast(config, classes=19, images=4, map_size=(128, 256))
    assert forecast.bank == 19 * 10_000 * (256 * 4 + 4)
    keys = 19 * 10_000 + 4 * 128 * 256  # all pixels: 20,481 of a class may be keys
    anchors_of_a_block = 206  # 1,026 in five blocks
    mining = anchors_of_a_block * keys * (4.4 + 1.3)  # the logits, room for dummies, and a pool of a tenth
    rows = 2 * 4 * 256 * 4 * 128 * 256
    assert mining + rows < forecast.forward < 1.15 * (mining + rows)
    assert forecast.backward > 4 * 4 * 128 * 256 * 256
    assert forecast.peak == forecast.bank + forecast.forward


def test_memory_does_not_grow_with_anchors_times_rows():
    small, large = (
        forecast_contrast(
            ContrastConfig(anchors=AnchorConfig(per_class=anchors), memory=MemoryConfig(pixels_per_class=10_000)),
            classes=19,
            images=4,
            map_size=(128, 256),
        )
        for anchors in (50, 500)
    )
    assert large.forward < 1.3 * small.forward


def test_without_contrast_nothing_is_taken():
    forecast = forecast_contrast(ContrastConfig(source="none"), classes=19, images=4, map_size=(128, 256))
    assert (forecast.bank, forecast.forward, forecast.backward, forecast.push, forecast.peak) == (0, 0, 0, 0, 0)
    within = forecast_contrast(ContrastConfig(source="intra_image"), classes=19, images=4, map_size=(8, 8))
    assert (within.bank, within.push) == (0, 0)
    assert within.forward > 0


def test_the_rows_of_the_spread_are_those_it_looks_at():
    assert contrast_memory.SPREAD_ROWS == alignment.ROWS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("mining", ["random", "hardest", "semi_hard"])
def test_the_forecast_is_what_a_gpu_allocates(mining, dtype):
    """Within 30 %: an operator's own workspace is not forecast, nor that blocks are rounded up to 512 bytes."""
    config = ContrastConfig(
        anchors=AnchorConfig(per_class=50),
        mining=MiningConfig(kind=mining),
        memory=MemoryConfig(pixels_per_class=4000, dtype=dtype),
    )
    forecast = forecast_contrast(config, classes=19, images=2, map_size=(64, 128), device="cuda")
    case = Case(config, 19, 2, (64, 128), "cuda")
    case.compare()  # cuBLAS takes its workspace once and keeps it
    case.push()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    case.compare()
    case.push()
    torch.cuda.synchronize()
    taken = torch.cuda.max_memory_allocated() - before
    assert forecast.bank == case.bank_bytes()
    assert taken == pytest.approx(forecast.peak - forecast.bank, rel=0.3)
