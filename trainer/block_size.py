"""How many similarities the contrastive loss holds, and works on, at a time; needs no torch."""

from __future__ import annotations

import math

__all__ = [
    "BLOCK_ANCHORS",
    "BLOCK_SIMILARITIES",
    "SPARSE_SHARE",
    "TILE_SIMILARITIES",
    "anchors_at_a_time",
    "tile_similarities",
]

BLOCK_SIMILARITIES = 2**22
"""Similarities held at a time, 16 MiB in float32, ..."""

BLOCK_ANCHORS = 128
"""... or those of so many anchors if that is more: the whole bank is read once for every block."""

TILE_SIMILARITIES = {"cpu": 2**18}
"""Similarities worked on at a time: 1 MiB, half the cache of a core."""

OTHER_TILE_SIMILARITIES = 2**24
"""The same on a device not named: it has no cache to care for, but a bank in half precision is turned into float32
tile by tile, and should not be there twice."""

SPARSE_SHARE = 0.1
"""Up to this share of chosen keys a CPU sums their rows one by one (measured: 0.02 takes a third of the time that the
product with all keys takes)."""


def anchors_at_a_time(anchors: int, candidates: int) -> int:
    """Anchors of one block: blocks are equal, and as few as the limits allow."""
    most = max(BLOCK_ANCHORS, BLOCK_SIMILARITIES // candidates)
    return math.ceil(anchors / math.ceil(anchors / most))


def tile_similarities(device: str) -> int:
    """Similarities of one tile on a device of this type (`torch.device.type`)."""
    return TILE_SIMILARITIES.get(device, OTHER_TILE_SIMILARITIES)
