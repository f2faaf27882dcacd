"""The memory bank: embeddings of past images, in a pixel and a region queue per class (paper, section 3.2).

Axes: B images of this rank, N of all ranks, C classes, H W image, h w embedding map, D embedding width, P pixels of an
image, R rows offered per class.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.bank_size import require_bank_fits
from trainer.config import MemoryConfig
from trainer.contrast.groups import sample_groups
from trainer.contrast.pixels import embedding_at, label_at, reduce_nearest
from trainer.contrast.queue import ClassQueue, Rows
from trainer.distributed import gather_images, own_images

__all__ = ["MEMORIES", "MemoryBank", "pixel_rows", "region_rows"]

MEMORIES = {"none": (), "pixel": ("pixel",), "region": ("region",), "pixel_region": ("pixel", "region")}
"""Queues of each `MemoryConfig.kind`."""

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""The values of `MemoryConfig.dtype`."""


def pixel_rows(
    embedding_BDhw: Tensor,
    label_NHW: Tensor,
    true_NHW: Tensor,
    classes: int,
    per_image: int,
    *,
    generator: torch.Generator,
) -> Rows:
    """Up to `per_image` random pixels of each class and image of all ranks, in the order of the images.

    Purity is measured with `true_NHW`, which may have another size than the labels. The released code stores the first
    pixels of the flattened map instead (docs/released_code.md, 1).
    """
    images, (h, w) = len(label_NHW), embedding_BDhw.shape[2:]
    label_NP = reduce_nearest(label_NHW, (h, w)).flatten(1)
    image_N1 = torch.arange(images, device=label_NP.device)[:, None]
    known_NP = (label_NP >= 0) & (label_NP < classes)
    group_NP = torch.where(known_NP, label_NP * images + image_N1, classes * images)
    slots = sample_groups(group_NP.flatten(), classes * images, per_image, generator=generator)
    position_CR = slots.index_Gk.view(classes, images * per_image)
    gathered_CR = label_at(true_NHW, position_CR, (h, w))
    return Rows(
        embedding_CRD=embedding_at(embedding_BDhw, position_CR.flatten()).view(*position_CR.shape, -1),
        purity_CR=(gathered_CR == torch.arange(classes, device=label_NP.device)[:, None]).float(),
        valid_CR=slots.valid_Gk.view_as(position_CR),
    )


def region_rows(embedding_BDhw: Tensor, label_NHW: Tensor, true_NHW: Tensor, classes: int) -> Rows:
    """L2-normalised mean embedding of each class's pixels in each image of all ranks, in the order of the images."""
    images, (h, w) = len(label_NHW), embedding_BDhw.shape[2:]
    class_C1 = torch.arange(classes, device=label_NHW.device)[:, None]
    member_NCP = reduce_nearest(label_NHW, (h, w)).flatten(1)[:, None] == class_C1
    position_NP = torch.arange(images * h * w, device=label_NHW.device).view(images, h * w)
    gathered_NCP = label_at(true_NHW, position_NP, (h, w))[:, None] == class_C1
    pixels_NC = member_NCP.sum(2)
    sum_BCD = own_images(member_NCP).float() @ embedding_BDhw.float().flatten(2).transpose(1, 2)
    return Rows(
        embedding_CRD=F.normalize(gather_images(sum_BCD), dim=2).transpose(0, 1),
        purity_CR=((member_NCP & gathered_NCP).sum(2) / pixels_NC.clamp(min=1)).T,
        valid_CR=(pixels_NC > 0).T,
    )


class MemoryBank(nn.Module):
    """The queues of `config.kind`, class 0 included (docs/released_code.md, 4). Raises ValueError above the limit."""

    def __init__(self, config: MemoryConfig, classes: int, width: int) -> None:
        super().__init__()
        require_bank_fits(config, classes, width)
        self.config = config
        self.classes = classes
        dtype = DTYPES[config.dtype or "float32"]
        capacity = {"pixel": config.pixels_per_class, "region": config.regions_per_class}
        self.queues = nn.ModuleDict(
            {name: ClassQueue(classes, capacity[name], width, dtype) for name in MEMORIES[config.kind]}
        )

    def contents(self) -> tuple[ClassQueue, ...]:
        """The queues, the pixel queue first."""
        return tuple(queue for queue in self.queues.values() if isinstance(queue, ClassQueue))

    @torch.no_grad()
    def push(
        self, embedding_BDhw: Tensor, label_NHW: Tensor, *, generator: torch.Generator, true_NHW: Tensor | None = None
    ) -> None:
        """Store a mini-batch. Labels are those of all ranks, at any size; ids outside 0..classes-1 are ignored.

        Purity is measured with `true_NHW`, or with the labels themselves.
        """
        true_NHW = label_NHW if true_NHW is None else true_NHW
        for name, queue in zip(self.queues, self.contents(), strict=True):
            if name == "pixel":
                per_image = self.config.pixels_per_image
                rows = pixel_rows(embedding_BDhw, label_NHW, true_NHW, self.classes, per_image, generator=generator)
            else:
                rows = region_rows(embedding_BDhw, label_NHW, true_NHW, self.classes)
            queue.push(rows)

    def fill(self) -> float:
        """Share of slots that hold an embedding, 0..1; 0 without queues."""
        slots = sum(queue.filled.numel() for queue in self.contents())
        return sum(float(queue.count_C.sum()) for queue in self.contents()) / max(slots, 1)

    def purity(self) -> float | None:
        """Mean share of the pixels behind a stored row that belong to the row's class; None for an empty bank.

        1.0 is correct. The released indexing and shuffled labels give about 1 / `classes`.
        """
        rows = sum(float(queue.count_C.sum()) for queue in self.contents())
        pure = sum(float((queue.purity_CK * queue.filled).sum()) for queue in self.contents())
        return pure / rows if rows else None
