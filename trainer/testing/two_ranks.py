"""Computations that give equal results on several ranks and in one process, up to rounding.

`facts` runs all of them on this rank's part of each batch; `work` runs `facts` on every rank for `run_ranks`.
Axes: B images of this rank, N images of all ranks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from trainer.build import build_segmentor
from trainer.config import (
    AnchorConfig,
    ContrastConfig,
    LossConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    OptimConfig,
    ScheduleConfig,
    TrainConfig,
)
from trainer.contrast import PixelContrast, ReleasedContrast
from trainer.data.loading.batches import Batch
from trainer.distributed import (
    gather_images,
    is_distributed,
    own_images,
    process_group,
    rank,
    sum_over_ranks,
    world_size,
)
from trainer.launch import Progress, RankInfo
from trainer.models.sync_norm import synchronise_norms
from trainer.optim import build_optimizer
from trainer.step import TrainStep

__all__ = ["NORMS", "ROWS", "Fact", "facts", "state_hash", "work"]

Fact = dict[str, Any]

CPU = torch.device("cpu")
CLASSES, WIDTH = 5, 8
MEMORY = MemoryConfig(pixels_per_class=30, regions_per_class=6, pixels_per_image=3)
CONTRAST = ContrastConfig(
    embedding_dim=WIDTH,
    keys_per_class=12,
    anchors=AnchorConfig(per_class=7),
    mining=MiningConfig(positives=8, negatives=16),
    memory=MEMORY,
)
ROWS = {
    "inter_image": CONTRAST,
    "intra_image": replace(CONTRAST, source="intra_image"),
    "bfloat16": replace(CONTRAST, memory=replace(MEMORY, dtype="bfloat16")),
    "released": replace(CONTRAST, as_released=True),
    "shuffled": replace(CONTRAST, labels="shuffled"),
    "shuffled, own image": replace(CONTRAST, labels="shuffled", source="intra_image"),
}
NORMS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.BatchNorm2d(3),
    "activated": lambda: BatchNormAct2d(3),
    "cumulative": lambda: nn.BatchNorm2d(3, momentum=None),
    "without_affine": lambda: nn.BatchNorm2d(3, affine=False),
}


def state_hash(module: nn.Module) -> str:
    """SHA-256 over names and bytes of a module's state, to check that ranks agree; synchronises with the device."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def work(info: RankInfo, progress: Progress) -> list[dict[str, Fact]]:
    """Join the other ranks and compute `facts`; returns those of every rank."""
    torch.set_num_threads(1)
    with process_group(info, CPU):
        everybody: list[Any] = [None] * info.ranks
        dist.all_gather_object(everybody, facts())
    return everybody


def facts() -> dict[str, Fact]:
    """All results by name."""
    return {
        "group": group(),
        **{f"contrast/{name}": contrast(config) for name, config in ROWS.items()},
        **{f"norm/{name}/{dtype}": norm(name, dtype) for name in NORMS for dtype in ("float32", "bfloat16")},
        "step": step(CONTRAST),
        "step/shuffled": step(ROWS["shuffled"]),
    }


def group() -> Fact:
    """Rank, world size, gathering and summing."""
    own_B = own_images(torch.arange(12.0, requires_grad=True).view(4, 3))
    return {
        "who": (is_distributed(), rank(), world_size()),
        "gathered": gather_images(own_B).tolist(),
        "requires_grad": gather_images(own_B).requires_grad and is_distributed(),
        "sum": sum_over_ranks(own_B.sum()).item(),
    }


def batch(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, labels and predictions of a global batch of 4 images."""
    generator = torch.Generator().manual_seed(100 + number)
    embedding_NDhw = F.normalize(torch.randn(4, WIDTH, 6, 7, generator=generator), dim=1)
    label_NHW, prediction_NHW = (torch.randint(0, CLASSES + 1, (4, 24, 28), generator=generator) for _ in range(2))
    return embedding_NDhw.contiguous(memory_format=torch.channels_last), label_NHW, prediction_NHW


def contrast(config: ContrastConfig) -> Fact:
    """Fill a bank, then compute a loss and its gradient by the embeddings of all ranks."""
    module = (ReleasedContrast if config.as_released else PixelContrast)(config, CLASSES)
    for number in range(5):
        embedding_BDhw, label_BHW, _ = seen(module, number)
        module.push(embedding_BDhw, label_BHW, generator=torch.Generator().manual_seed(number))
    embedding_BDhw, label_BHW, prediction_BHW = seen(module, 9)
    embedding_BDhw.requires_grad_()
    generator = torch.Generator().manual_seed(9)
    output = module(embedding_BDhw, label_BHW, prediction_BHW, generator=generator)
    output.loss.backward()
    assert embedding_BDhw.grad is not None
    return {
        "bank": dict(module.state_dict()),
        "bank_hash": state_hash(module),
        "loss": output.loss.detach(),
        "stats": output.stats,
        "gradient": gather_images(embedding_BDhw.grad),
    }


def seen(module: PixelContrast, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings of this rank, with labels and predictions as the contrast sees them."""
    embedding_BDhw, label_BHW, prediction_BHW = map(own_images, batch(number))
    if module.config.labels != "shuffled":
        return embedding_BDhw, label_BHW, prediction_BHW
    shuffle = module.draw_shuffle(label_BHW, (6, 7), generator=torch.Generator().manual_seed(number))
    return embedding_BDhw, shuffle(label_BHW), shuffle(prediction_BHW)


def norm(name: str, dtype: str) -> Fact:
    """Normalise two batches; output, running statistics, and gradients summed over the ranks."""
    module = nn.Sequential(NORMS[name]())
    if is_distributed():
        synchronise_norms(module, CPU)
    generator = torch.Generator().manual_seed(3)
    image_NCHW = 30 + torch.tensor([1.0, 1e-2, 10.0])[:, None, None] * torch.randn(4, 3, 5, 6, generator=generator)
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=1.0, generator=generator)
    image_BCHW = own_images(image_NCHW.to(getattr(torch, dtype))).clone().requires_grad_()
    module(image_BCHW.detach() + 1)
    output_BCHW = module(image_BCHW)
    (output_BCHW.float() * own_images(torch.randn(4, 3, 5, 6, generator=generator))).sum().backward()
    assert image_BCHW.grad is not None
    return {
        "names": list(module.state_dict()),
        "output": gather_images(output_BCHW.detach()),
        "gradient": gather_images(image_BCHW.grad),
        "weights": [sum_over_ranks(parameter.grad) for parameter in module.parameters() if parameter.grad is not None],
        "running": dict(module.named_buffers()),
        "evaluated": gather_images(module.eval()(image_BCHW).detach()),
    }


def step(contrast: ContrastConfig) -> Fact:
    """Take a step with two micro-batches in the warm-up, and one after it.

    A batch is split over the ranks first: micro-batch 0 of two ranks is images 0 and 2. A single process gets the
    images in that order, so that its micro-batches and their batch norms are those of two ranks.
    """
    config = TrainConfig(
        model=ModelConfig(backbone="timm/test_resnet", head_channels=8, dropout=0.0, aux_weight=0.0),
        contrast=replace(contrast, warmup_fraction=0.5),
        loss=LossConfig(class_weights=(1.0, 2.0, 0.5, 1.0, 3.0)),
        optim=OptimConfig(lr=0.1, weight_decay=0.1, clip_norm=0.5),
        schedule=ScheduleConfig(steps=10, batch_size=4, accumulation_steps=2),
    )
    model = build_segmentor(config.model, config.contrast, classes=CLASSES, seed=0)
    if is_distributed():
        synchronise_norms(model, CPU)
    module = PixelContrast(config.contrast, CLASSES)
    take_step = TrainStep(config, model, module, build_optimizer(model, config.optim), CPU)
    model.train()
    generator = torch.Generator().manual_seed(4)
    image_N3HW = torch.rand(4, 3, 64, 64, generator=generator)
    label_NHW = torch.randint(0, CLASSES, (4, 64, 64), generator=generator)
    label_NHW[0] = 255  # the ranks hold unequal shares of the labelled pixels
    order = slice(None) if is_distributed() else [0, 2, 1, 3]
    own = Batch(own_images(image_N3HW[order]), own_images(label_NHW[order]))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measured = take_step(own, 0)
    after = {name: value.clone() for name, value in model.state_dict().items()}
    later = take_step(own, 9)
    state = (state_hash(model), state_hash(module))
    return {"before": before, "after": after, "measured": measured, "later": later, "state": state}
