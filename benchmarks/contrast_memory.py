"""Predicts the memory that contrast needs in a training step; `contrast_step` measures it beside this figure.

The sums follow the tensors of `trainer.contrast` at their peaks; tests compare them with what torch allocates. Literal
factors are bytes per element: 4 for float32, 8 for an index, 1 for a flag.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trainer.bank_size import bank_gigabytes, rows_per_class
from trainer.block_size import SPARSE_SHARE, anchors_at_a_time, extra_columns, pool_size, tile_similarities
from trainer.config import ContrastConfig, MemoryConfig, MiningConfig, effective_memory, keys_per_class

__all__ = ["ContrastMemory", "forecast_contrast"]

SPREAD_ROWS = 1024
"""Rows sampled for alignment and uniformity, `trainer.contrast.alignment.ROWS`."""

SPREAD_BYTES = 18
"""Per pair of these rows: four float32 and two flags."""

SAMPLING_BYTES = 64
"""Per pixel while anchors and keys are sampled: eight indices."""

OWN_BYTES = 25
"""Per key of an anchor's class in the mini-batch while its columns are worked out: three indices and a flag."""

SPARSE_BYTES = 27
"""Per chosen key while its gradient is summed: two indices, two float32 and flags."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastMemory:
    """Bytes that contrast adds to a training step on one device, without the projection and the embedding map."""

    bank: int
    """The queues, always allocated."""
    forward: int
    """Peak of the loss: gathered rows, similarities of one block, and mining."""
    backward: int
    """Peak of the gradient: of the gathered rows and of the whole embedding map."""
    push: int
    """Peak of storing the mini-batch."""

    @property
    def peak(self) -> int:
        """Peak of a step."""
        return self.bank + max(self.forward, self.backward, self.push)


@dataclass(frozen=True, slots=True)
class Mined:
    """What a miner needs and returns for one anchor."""

    working: int
    """Bytes."""
    chosen: int
    """Candidates."""
    is_everything: bool
    """Whether it returns all candidates."""


def forecast_contrast(
    contrast: ContrastConfig, *, classes: int, images: int, map_size: tuple[int, int], device: str = "cuda"
) -> ContrastMemory:
    """Memory of a step with `images` images on one device (`cuda`, `cpu`) and embedding maps of `map_size` (h, w).

    The maps are in channels-last layout, as the model returns them; in another layout they are copied.

    Within 20 % or half a megabyte of the peak that torch allocates on a CPU, without the workspace of libraries. All
    zeros for the source `none`.
    """
    if contrast.source == "none":
        return ContrastMemory(bank=0, forward=0, backward=0, push=0)
    memory, width = effective_memory(contrast), contrast.embedding_dim
    pixels = images * math.prod(map_size)
    scopes = images if contrast.source == "intra_image" else 1
    anchors = classes * contrast.anchors.per_class
    keys = scopes * scope_rows(contrast, classes, pixels // scopes)
    gathered = 4 * (anchors + keys) * width
    sampled = max(2, SPREAD_ROWS // classes)
    spread_rows = classes * min(scopes * max(1, min(keys_per_class(contrast), sampled // scopes)), sampled)
    drawn = 16 * pixels + 9 * anchors + 8 * keys
    forward = max(
        pixels * max(classes + 8, SAMPLING_BYTES),
        gathered + spread_rows * (SPREAD_BYTES * spread_rows + 8 * width),
        gathered + loss_bytes(contrast, memory, classes, pixels, scopes, device),
    )
    return ContrastMemory(
        bank=round(1e9 * bank_gigabytes(memory, classes, width)) + 4 * classes * rows_per_class(memory),
        forward=drawn + forward,
        backward=16 * (anchors + keys) + gathered + max(gathered, 4 * pixels * width),
        push=push_bytes(memory, classes, images, pixels, width),
    )


def scope_rows(contrast: ContrastConfig, classes: int, scope_pixels: int) -> int:
    """Keys of the mini-batch in one scope."""
    return min(scope_pixels, classes * keys_per_class(contrast))


def loss_bytes(
    contrast: ContrastConfig, memory: MemoryConfig, classes: int, pixels: int, scopes: int, device: str
) -> int:
    """Peak of `trainer.contrast.loss` above the gathered rows."""
    width, anchors = contrast.embedding_dim, classes * contrast.anchors.per_class
    scope_keys = scope_rows(contrast, classes, pixels // scopes)
    class_keys = min(keys_per_class(contrast), scope_keys) + rows_per_class(memory)
    keys = scopes * scope_keys
    candidates, held = (rows + classes * rows_per_class(memory) for rows in (scope_keys, keys))
    block = anchors_at_a_time(anchors, held, device)
    tile = tile_similarities(device) // block
    scoped = 4 * candidates if scopes > 1 else 0
    positives = mined(contrast.mining, contrast.mining.positives, class_keys)
    negatives = mined(contrast.mining, contrast.mining.negatives, candidates)
    extra = extra_columns(contrast.mining.kind, candidates, contrast.mining.hard_fraction) if scopes == 1 else 0
    copied = 4 * (candidates + extra) if extra and not negatives.is_everything else 0  # the extra columns save a copy

    own = OWN_BYTES * (class_keys - rows_per_class(memory)) + 8 * class_keys
    mining_positives = 17 * class_keys + positives.working
    kept = 13 * class_keys if positives.is_everything else 21 * positives.chosen
    mining_negatives = kept + negatives.working - copied
    chosen = positives.chosen + negatives.chosen
    if negatives.is_everything:
        slopes = kept + 8 * class_keys + 4 * min(candidates, tile)
    else:
        slopes = kept + 13 * negatives.chosen + 12 * chosen
        if device == "cpu" and scopes == 1 and memory.dtype is None and chosen <= SPARSE_SHARE * held:
            slopes += SPARSE_BYTES * chosen
    working = max(own, mining_positives, mining_negatives, slopes, scoped)
    similarities = block * (4 * (held + extra) + scoped + working)
    if memory.dtype is not None:
        similarities += 4 * width * min(classes * rows_per_class(memory), tile)
    return 4 * (2 * anchors + keys) * width + 4 * held + similarities


def mined(mining: MiningConfig, count: int, candidates: int) -> Mined:
    """Cost and result of choosing `count` of an anchor's candidates."""
    if mining.kind == "semi_hard":
        pool = pool_size(candidates, mining.hard_fraction)
        if pool == candidates <= count:
            return Mined(0, candidates, True)
        return Mined(4 * (candidates + pool) + 13 * pool, min(pool, count), False)
    if candidates <= count:
        return Mined(0, candidates, True)
    return Mined((6 * candidates if mining.kind == "random" else 0) + 12 * count, count, False)


def push_bytes(memory: MemoryConfig, classes: int, images: int, pixels: int, width: int) -> int:
    """Peak of `trainer.contrast.memory.MemoryBank.push`."""
    peak = 0
    if memory.kind in ("pixel", "pixel_region"):
        offered = images * memory.pixels_per_image
        written = min(offered, memory.pixels_per_class)
        peak = max(SAMPLING_BYTES * pixels, 8 * pixels + 4 * classes * (offered + 3 * written) * width)
    if memory.kind in ("region", "pixel_region"):
        written = min(images, memory.regions_per_class)
        rows = 4 * classes * (images + 3 * written) * width
        peak = max(peak, (12 * classes + 8) * pixels, (2 * classes + 8) * pixels + rows)
    return peak
