"""What several processes compute together, and one alone: the same functions, of the part of a batch that is theirs.

`facts` calls them all; the fixture `two_ranks` of tests/trainer/conftest.py does so once, in two processes.
Axes: B images of this rank, N of all ranks.
"""

from __future__ import annotations

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
    state_hash,
    sum_over_ranks,
    world_size,
)
from trainer.launch import Progress, RankInfo
from trainer.models.sync_norm import synchronise_norms
from trainer.optim import build_optimizer
from trainer.step import TrainStep

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
ARMS = {
    "inter_image": CONTRAST,
    "intra_image": replace(CONTRAST, source="intra_image"),
    "bfloat16": replace(CONTRAST, memory=replace(MEMORY, dtype="bfloat16")),
    "released": replace(CONTRAST, as_released=True),
}
NORMS = {
    "plain": lambda: nn.BatchNorm2d(3),
    "activated": lambda: BatchNormAct2d(3),
    "cumulative": lambda: nn.BatchNorm2d(3, momentum=None),
    "without_affine": lambda: nn.BatchNorm2d(3, affine=False),
}


def work(info: RankInfo, progress: Progress) -> list[dict[str, Fact]]:
    """Join the other ranks and compute; rank 0 returns the facts of each."""
    torch.set_num_threads(1)
    with process_group(info, CPU):
        everybody: list[Any] = [None] * info.ranks
        dist.all_gather_object(everybody, facts())
    return everybody


def facts() -> dict[str, Fact]:
    """All of them, by name."""
    return {
        "group": group(),
        **{f"contrast/{name}": contrast(config) for name, config in ARMS.items()},
        **{f"norm/{name}/{dtype}": norm(name, dtype) for name in NORMS for dtype in ("float32", "bfloat16")},
        "step": step(),
    }


def group() -> Fact:
    own_B = own_images(torch.arange(12.0, requires_grad=True).view(4, 3))
    return {
        "who": (is_distributed(), rank(), world_size()),
        "gathered": gather_images(own_B).tolist(),
        "requires_grad": gather_images(own_B).requires_grad and is_distributed(),
        "sum": sum_over_ranks(own_B.sum()).item(),
    }


def batch(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings, labels and predictions of a global batch of 4 images."""
    chance = torch.Generator().manual_seed(100 + number)
    embedding_NDhw = F.normalize(torch.randn(4, WIDTH, 6, 7, generator=chance), dim=1)
    label_NHW, prediction_NHW = (torch.randint(0, CLASSES + 1, (4, 24, 28), generator=chance) for _ in range(2))
    return embedding_NDhw.contiguous(memory_format=torch.channels_last), label_NHW, prediction_NHW


def contrast(config: ContrastConfig) -> Fact:
    """Fill a bank, then take a loss and its gradient by the embeddings of all ranks."""
    module = (ReleasedContrast if config.as_released else PixelContrast)(config, CLASSES)
    for number in range(5):
        embedding_BDhw, label_BHW, _ = map(own_images, batch(number))
        module.push(embedding_BDhw, label_BHW, generator=torch.Generator().manual_seed(number))
    embedding_BDhw, label_BHW, prediction_BHW = map(own_images, batch(9))
    embedding_BDhw.requires_grad_()
    chance = torch.Generator().manual_seed(9)
    output = module(embedding_BDhw, label_BHW, prediction_BHW, generator=chance)
    output.loss.backward()
    assert embedding_BDhw.grad is not None
    return {
        "bank": state_hash(module),
        "loss": output.loss.detach(),
        "stats": output.stats,
        "gradient": gather_images(embedding_BDhw.grad),
    }


def norm(name: str, dtype: str) -> Fact:
    """Normalise a batch twice; what came out, the running statistics, and the gradients added up over the ranks."""
    module = nn.Sequential(NORMS[name]())
    if is_distributed():
        synchronise_norms(module, CPU)
    chance = torch.Generator().manual_seed(3)
    image_NCHW = 30 + torch.tensor([1.0, 1e-2, 10.0])[:, None, None] * torch.randn(4, 3, 5, 6, generator=chance)
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=1.0, generator=chance)
    image_BCHW = own_images(image_NCHW.to(getattr(torch, dtype))).clone().requires_grad_()
    module(image_BCHW.detach() + 1)
    output_BCHW = module(image_BCHW)
    (output_BCHW.float() * own_images(torch.randn(4, 3, 5, 6, generator=chance))).sum().backward()
    assert image_BCHW.grad is not None
    return {
        "names": list(module.state_dict()),
        "output": gather_images(output_BCHW.detach()),
        "gradient": gather_images(image_BCHW.grad),
        "weights": [sum_over_ranks(parameter.grad) for parameter in module.parameters() if parameter.grad is not None],
        "running": dict(module.named_buffers()),
        "evaluated": gather_images(module.eval()(image_BCHW).detach()),
    }


def step() -> Fact:
    """Take a step of two portions in the warm-up, and one after it.

    A batch is split over the ranks first: portion 0 of two ranks is images 0 and 2. One process is given the images in
    that order, so that its portions, and their batch norms, are those of two ranks.
    """
    config = TrainConfig(
        model=ModelConfig(backbone="timm/test_resnet", head_channels=8, dropout=0.0, aux_weight=0.0),
        contrast=replace(CONTRAST, warmup_fraction=0.5),
        loss=LossConfig(class_weights=(1.0, 2.0, 0.5, 1.0, 3.0)),
        optim=OptimConfig(lr=0.1, weight_decay=0.1, clip_norm=0.5),
        schedule=ScheduleConfig(steps=10, batch_size=4, portions=2),
    )
    model = build_segmentor(config.model, config.contrast, classes=CLASSES, seed=0)
    if is_distributed():
        synchronise_norms(model, CPU)
    take_step = TrainStep(
        config, model, PixelContrast(config.contrast, CLASSES), build_optimizer(model, config.optim), CPU
    )
    model.train()
    chance = torch.Generator().manual_seed(4)
    image_N3HW = torch.rand(4, 3, 64, 64, generator=chance)
    label_NHW = torch.randint(0, CLASSES, (4, 64, 64), generator=chance)
    label_NHW[0] = 255  # the ranks hold unequal shares of the labelled pixels
    order = slice(None) if is_distributed() else [0, 2, 1, 3]
    own = Batch(own_images(image_N3HW[order]), own_images(label_NHW[order]))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measured = take_step(own, 0)
    after = {name: value.clone() for name, value in model.state_dict().items()}
    later = take_step(own, 9)
    return {"before": before, "after": after, "measured": measured, "later": later, "state": state_hash(model)}
