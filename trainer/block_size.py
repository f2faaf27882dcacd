"""Sizes of the working set of the contrastive loss: blocks, tiles and the semi-hard pool; needs no torch."""

from __future__ import annotations

import math

__all__ = [
    "BLOCK_ANCHORS",
    "BLOCK_SIMILARITIES",
    "SPARSE_SHARE",
    "TILE_SIMILARITIES",
    "anchors_at_a_time",
    "extra_columns",
    "pool_size",
    "tile_similarities",
]

BLOCK_SIMILARITIES = {"cpu": 2**22}
"""Similarities of one block by device type: 16 MiB in float32 on a CPU."""

OTHER_BLOCK_SIMILARITIES = 2**26
"""The same on other devices: 256 MiB. A GPU is sent 40 to 90 operators per block, which take longer to send than to
compute if blocks are small."""

BLOCK_ANCHORS = 128
"""Smallest number of anchors per block, because every block reads the whole bank."""

TILE_SIMILARITIES = {"cpu": 2**18}
"""Similarities of one tile by device type: 1 MiB on a CPU, half of a core's cache."""

OTHER_TILE_SIMILARITIES = 2**24
"""The same on other devices. Their caches do not matter, but a half-precision bank is converted to float32 tile by
tile, and a large tile would hold it twice."""

SPARSE_SHARE = 0.1
"""Up to this share of chosen keys, a CPU sums their rows one by one. Measured at a share of 0.02: a third of the time
of the matrix product with all keys."""

ROUNDING_MARGIN = 1e-9
"""Subtracted before rounding up, so that 0.1 of 30 is 3 and not 4."""


def anchors_at_a_time(anchors: int, candidates: int, device: str) -> int:
    """Anchors per block on a device of this type: as few blocks of equal size as the limits allow."""
    most = max(BLOCK_ANCHORS, BLOCK_SIMILARITIES.get(device, OTHER_BLOCK_SIMILARITIES) // candidates)
    return math.ceil(anchors / math.ceil(anchors / most))


def tile_similarities(device: str) -> int:
    """Similarities per tile on a device of this type (`torch.device.type`)."""
    return TILE_SIMILARITIES.get(device, OTHER_TILE_SIMILARITIES)


def pool_size(candidates: int, hard_fraction: float) -> int:
    """How many of `candidates` the semi-hard miner keeps: ceil(hard_fraction * candidates)."""
    return math.ceil(candidates * hard_fraction - ROUNDING_MARGIN)


def extra_columns(kind: str, candidates: int, hard_fraction: float) -> int:
    """Scratch columns that a miner can use behind the `candidates` columns of hardness, instead of copying them."""
    return pool_size(candidates, hard_fraction) if kind == "semi_hard" else 0
