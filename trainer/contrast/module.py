"""`PixelContrast`: the contrastive loss of a step and its memory bank.

Axes: B images of this rank, N images of all ranks, C classes, H W image, h w embedding map, D embedding width,
P pixels of all ranks, A anchors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import ContrastConfig, effective_memory, keys_per_class
from trainer.contrast.alignment import alignment_and_uniformity, sampled_rows
from trainer.contrast.anchors import ANCHOR_SAMPLERS, AnchorContext, AnchorSampler, skip_thin_classes
from trainer.contrast.groups import Slots
from trainer.contrast.keys import BatchKeys, Keys, KeySlots, bank_keys, batch_slots
from trainer.contrast.label_shuffle import LabelShuffle, draw_shuffle
from trainer.contrast.loss import Anchors, mined_info_nce
from trainer.contrast.memory import MemoryBank
from trainer.contrast.pixels import embedding_at, reduce_nearest
from trainer.distributed import gather_images, world_size
from trainer.plugins.entry import chosen

__all__ = ["ContrastOutput", "PixelContrast"]


@dataclass(frozen=True, slots=True)
class ContrastOutput:
    """Unweighted loss of a step and its statistics."""

    loss: Tensor
    """0-d, float32, always part of the autograd graph."""
    stats: dict[str, Tensor]
    """`contrast/...` metrics: 0-d, without gradient, on the device of the embedding; NaN for a mean over nothing."""


class PixelContrast(nn.Module):
    """Pixel-wise contrast within an image or across images (paper, sections 3.2 and 3.3).

    Neither `forward` nor `push` synchronises with the device or loops over classes or images. All random numbers come
    from `generator`, which must be on the device of the embedding. Raises ValueError for the source `none`.

    Ranks whose generators have equal states choose the same anchors and keys among the images of all ranks, so the
    numbers of anchors and keys are per global batch. Each rank computes the same loss, and the gradient of its own
    images; the sum over the ranks is the gradient of a single process with the whole batch, up to rounding.
    """

    def __init__(self, config: ContrastConfig, classes: int) -> None:
        super().__init__()
        if config.source == "none":
            raise ValueError("contrast.source: none has no loss; choose intra_image or inter_image")
        self.config = config
        self.classes = classes
        self.bank = MemoryBank(effective_memory(config), classes, config.embedding_dim)
        self.sample: AnchorSampler = chosen(ANCHOR_SAMPLERS, config.anchors.kind, config.anchors.plugin)

    def forward(
        self,
        embedding_BDhw: Tensor,
        label_BHW: Tensor,
        prediction_BHW: Tensor,
        *,
        generator: torch.Generator,
        progress: float = 0.0,
        spread: bool = True,
    ) -> ContrastOutput:
        """Loss of L2-normalised embeddings; labels and predictions are at image size.

        `progress` is the share of the steps that are done, for samplers and miners that use it. `spread`: whether
        alignment and uniformity are among the statistics; they take as long as the loss. Label ids outside
        0..classes-1 are ignored. Always float32, also inside autocast (docs/released_code.md, 10).
        """
        with torch.autocast(embedding_BDhw.device.type, enabled=False):
            size_hw = (embedding_BDhw.shape[2], embedding_BDhw.shape[3])
            context = self.context(label_BHW, prediction_BHW, size_hw, generator, progress)
            anchors, keys, described = self.candidates(embedding_BDhw, context, spread=spread)
            mined = mined_info_nce(anchors, keys, self.config.mining, self.config.temperature, generator, progress)
        stats = {
            "contrast/loss": mined.loss.detach().where(mined.anchors > 0, torch.nan),
            "contrast/anchors": mined.anchors,
            **described,
            "contrast/positives": mined.positives,
            "contrast/negatives": mined.negatives,
            "contrast/positive_similarity": mined.positive_similarity,
            "contrast/negative_similarity": mined.negative_similarity,
        }
        return ContrastOutput(mined.loss, stats)

    def context(
        self,
        label_BHW: Tensor,
        prediction_BHW: Tensor,
        size_hw: tuple[int, int],
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> AnchorContext:
        """What the anchors are chosen from: labels and predictions of all ranks at the size of the embedding map."""
        return AnchorContext(
            label_Nhw=gather_images(reduce_nearest(label_BHW, size_hw)),
            prediction_Nhw=gather_images(reduce_nearest(prediction_BHW, size_hw)),
            classes=self.classes,
            per_class=self.config.anchors.per_class,
            generator=generator,
            progress=progress,
        )

    def candidates(
        self, embedding_BDhw: Tensor, context: AnchorContext, *, spread: bool = True
    ) -> tuple[Anchors, Keys, dict[str, Tensor]]:
        """Anchors, keys and their statistics; alignment and uniformity are those of the keys, which are random."""
        label_P, generator = context.label_P, context.generator
        slots, skipped = self.anchor_slots(context)
        scopes = self.scopes(embedding_BDhw)
        per_class = keys_per_class(self.config)
        key_slots = batch_slots(label_P, self.classes, per_class, scopes=scopes, generator=generator)
        anchors, keys = self.gather(embedding_BDhw, slots, key_slots)
        anchored = slots.valid_Gk.any(1).sum()
        stats = {
            "contrast/skipped_share": skipped,
            "contrast/anchored_share": anchored / self.classes,
            "contrast/anchors_per_class": slots.valid_Gk.sum() / anchored,
        }
        if spread:
            row_CK, valid_CK = key_slots.sample(max(1, min(per_class, sampled_rows(self.classes) // scopes)))
            alignment, uniformity = alignment_and_uniformity(keys.batch.embedding_ND[row_CK], valid_CK)
            stats |= {"contrast/alignment": alignment, "contrast/uniformity": uniformity}
        return anchors, keys, stats

    def anchor_slots(self, context: AnchorContext) -> tuple[Slots, Tensor]:
        """Positions of each class's anchors, and the share of present classes that have none."""
        kept_C, skipped = skip_thin_classes(context.label_P, self.classes, self.config.anchors.min_pixels)
        slots = self.sample(context)
        return Slots(slots.index_Gk, slots.valid_Gk & kept_C[:, None]), skipped

    def gather(self, embedding_BDhw: Tensor, anchors: Slots, keys: KeySlots) -> tuple[Anchors, Keys]:
        """Anchors and keys of the mini-batch with gradient, rows of the bank without.

        One indexing operation reads them all, because each has a gradient of the size of the whole embedding map.
        """
        position_A, position_N = anchors.index_Gk.flatten(), keys.position_N
        row_XD = embedding_at(embedding_BDhw, torch.cat([position_A, position_N]))
        anchor_AD, key_ND = row_XD.split_with_sizes([len(position_A), len(position_N)])
        scopes = self.scopes(embedding_BDhw)
        pixels = world_size() * embedding_BDhw.shape[0] * embedding_BDhw.shape[2] * embedding_BDhw.shape[3]
        class_C1 = torch.arange(self.classes, device=position_A.device)[:, None]
        chosen = Anchors(
            embedding_AD=anchor_AD,
            class_A=class_C1.expand_as(anchors.index_Gk).flatten(),
            position_A=position_A,
            scope_A=position_A // (pixels // scopes),
            valid_A=anchors.valid_Gk.flatten(),
        )
        return chosen, Keys(batch=BatchKeys(key_ND, keys), bank=bank_keys(self.bank))

    def scopes(self, embedding_BDhw: Tensor) -> int:
        """Number of scopes (see `trainer.contrast.keys`): the images of all ranks, or one."""
        return world_size() * len(embedding_BDhw) if self.config.source == "intra_image" else 1

    def draw_shuffle(self, label_BHW: Tensor, size_hw: tuple[int, int], *, generator: torch.Generator) -> LabelShuffle:
        """A permutation for `contrast.labels: shuffled`: of the batch, or of each image for `intra_image`.

        Pixels that are compared with each other have as many labels of each class as before, so there are as many
        anchors and keys of the mini-batch. Labels tell nothing about embeddings then, nor about where pixels are.
        """
        within_images = self.config.source == "intra_image"
        return draw_shuffle(label_BHW, size_hw, self.classes, within_images=within_images, generator=generator)

    @torch.no_grad()
    def push(
        self, embedding_BDhw: Tensor, label_BHW: Tensor, *, generator: torch.Generator, true_BHW: Tensor | None = None
    ) -> None:
        """Store a mini-batch, if there is a bank; equal generators keep all banks equal (docs/released_code.md, 7).

        `true_BHW`: the labels that purity is measured with, if `label_BHW` is shuffled.
        """
        if not self.bank.contents():
            return
        true_NHW = None if true_BHW is None else gather_images(true_BHW)
        with torch.autocast(embedding_BDhw.device.type, enabled=False):
            self.bank.push(embedding_BDhw, gather_images(label_BHW), generator=generator, true_NHW=true_NHW)

    def diagnostics(self) -> dict[str, float]:
        """`contrast/bank_fill` and, once the bank has rows, `contrast/purity`; empty without a bank.

        Synchronises with the device: call it when logging, not in every step.
        """
        if not self.bank.contents():
            return {}
        purity = self.bank.purity()
        measured = {} if purity is None else {"contrast/purity": purity}
        return {"contrast/bank_fill": self.bank.fill(), **measured}
