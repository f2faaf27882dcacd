"""Mining: which of its legal candidates an anchor meets (paper, section 3.3).

Axes: A anchors, M candidates, K chosen. Hardness grows with difficulty: the similarity of a negative, minus the
similarity of a positive. To add a miner write a function like `hardest` and add it to `MINERS` and `MiningConfig.kind`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["MINERS", "Miner", "Selection", "hardest", "pool_size", "random", "semi_hard"]

ROUNDING = 1e-9
"""Taken off before rounding up, so that 0.1 of 30 is 3 and not 4."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen candidates of each anchor, none twice."""

    index_AK: Tensor
    """Candidate numbers, int64; arbitrary but in range where `valid_AK` is False."""
    valid_AK: Tensor
    """True where a candidate was chosen."""


Miner: TypeAlias = Callable[[Tensor, Tensor, int, float, torch.Generator], Selection]
"""(hardness_AM, legal_AM, count, hard_fraction, generator) -> at most `count` legal candidates per anchor."""


def random(
    hardness_AM: Tensor, legal_AM: Tensor, count: int, hard_fraction: float, generator: torch.Generator
) -> Selection:
    """`count` legal candidates at random."""
    del hard_fraction
    if legal_AM.shape[1] <= count:
        return everything(legal_AM)
    draw_AM = torch.rand(legal_AM.shape, generator=generator, device=legal_AM.device, dtype=hardness_AM.dtype)
    return top(draw_AM, legal_AM, count)


def hardest(
    hardness_AM: Tensor, legal_AM: Tensor, count: int, hard_fraction: float, generator: torch.Generator
) -> Selection:
    """The `count` hardest legal candidates."""
    del hard_fraction, generator
    if legal_AM.shape[1] <= count:
        return everything(legal_AM)
    return top(hardness_AM, legal_AM, count)


def semi_hard(
    hardness_AM: Tensor, legal_AM: Tensor, count: int, hard_fraction: float, generator: torch.Generator
) -> Selection:
    """`count` at random among the hardest `hard_fraction` of an anchor's legal candidates.

    The pool holds ceil(hard_fraction * legal candidates), so at least one where there is any. A pool smaller than
    `count` is taken whole and not filled up with easier ones.
    """
    pool = top(hardness_AM, legal_AM, pool_size(legal_AM.shape[1], hard_fraction), ordered=True)
    # A sum over bytes runs an order of magnitude faster on a CPU than one over bools.
    legal_A = legal_AM.view(torch.uint8).sum(1, dtype=torch.int32)
    pool_A = (legal_A.double() * hard_fraction - ROUNDING).ceil()
    width = pool.index_AK.shape[1]
    in_pool_AK = torch.arange(width, device=legal_AM.device) < pool_A[:, None]
    in_pool_AK &= pool.valid_AK
    drawn = random(hardness_AM[:, :width], in_pool_AK, count, hard_fraction, generator)
    return Selection(pool.index_AK.gather(1, drawn.index_AK), drawn.valid_AK)


MINERS: dict[str, Miner] = {"random": random, "hardest": hardest, "semi_hard": semi_hard}
"""The values of `MiningConfig.kind`."""


def pool_size(candidates: int, hard_fraction: float) -> int:
    """Candidates that `semi_hard` keeps of so many: ceil(hard_fraction * candidates)."""
    return math.ceil(candidates * hard_fraction - ROUNDING)


def everything(legal_AM: Tensor) -> Selection:
    """All legal candidates; decided by static shapes, so it costs neither a sort nor a host sync."""
    index_M = torch.arange(legal_AM.shape[1], device=legal_AM.device)
    return Selection(index_M.expand_as(legal_AM), legal_AM)


def top(score_AM: Tensor, legal_AM: Tensor, count: int, *, ordered: bool = False) -> Selection:
    """The `count` legal candidates with the highest scores; the best come first if `ordered`."""
    score_AK, index_AK = score_AM.masked_fill(~legal_AM, -torch.inf).topk(count, dim=1, sorted=ordered)
    return Selection(index_AK, score_AK > -torch.inf)
