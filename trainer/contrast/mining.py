"""Mining: which of its legal candidates an anchor is compared with (paper, section 3.3).

Axes: A anchors, M candidates, K chosen. Hardness is the similarity of a negative, or minus the similarity of a
positive. Candidates that an anchor must not use have the hardness `EXCLUDED`. The order among equally hard candidates
is unspecified. To add a miner, write a function like `mine_hardest`, in a plugin (docs/own_method.md) or here with a
line in `MINERS` and in `MiningConfig.kind`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from trainer.block_size import ROUNDING_MARGIN, pool_size
from trainer.plugins.entry import Entry

__all__ = [
    "EXCLUDED",
    "MINERS",
    "Miner",
    "MiningContext",
    "Selection",
    "draw",
    "is_legal",
    "mine_hardest",
    "mine_random",
    "mine_semi_hard",
    "top",
]

EXCLUDED = -1e30
"""Hardness or logit of an excluded candidate. Its exponential is exactly 0; unlike minus infinity it causes no NaN."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen candidates of each anchor, without duplicates."""

    index_AK: Tensor
    """Candidate indices, int64; arbitrary but in range where `valid_AK` is False."""
    valid_AK: Tensor
    """True where a candidate was chosen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MiningContext:
    """What a miner chooses from: the candidates of a block of anchors, their positives or their negatives."""

    hardness_AM: Tensor
    """float32, to be left as it is. May be a view of a wider buffer with `trainer.block_size.extra_columns` scratch
    columns behind it."""
    legal_A: Tensor
    """Number of legal candidates of each anchor."""
    count: int
    """Maximum number of candidates to choose for each anchor."""
    hard_fraction: float
    """`contrast.mining.hard_fraction`."""
    generator: torch.Generator
    """The only source of random numbers, on the device of the hardness."""
    positives: bool = False
    """Whether the candidates are positives."""
    progress: float = 0.0
    """Share of the optimiser steps that are done, 0 at the first."""


Miner: TypeAlias = Callable[[MiningContext], Selection | None]
"""From candidates to at most `count` legal ones of each anchor, or None for all of them."""


def mine_random(context: MiningContext) -> Selection | None:
    """`count` legal candidates at random."""
    hardness_AM, count = context.hardness_AM, context.count
    return None if hardness_AM.shape[1] <= count else draw(is_legal(hardness_AM), count, context.generator)


def mine_hardest(context: MiningContext) -> Selection | None:
    """The `count` hardest legal candidates."""
    hardness_AM, count = context.hardness_AM, context.count
    return None if hardness_AM.shape[1] <= count else top(hardness_AM, count)


def mine_semi_hard(context: MiningContext) -> Selection | None:
    """`count` at random among the hardest `hard_fraction` of an anchor's legal candidates.

    The pool holds ceil(hard_fraction * legal candidates), at least one if there is any. A pool smaller than `count` is
    used whole; easier candidates do not fill it up.
    """
    hardness_AM, count, hard_fraction = context.hardness_AM, context.count, context.hard_fraction
    candidates = hardness_AM.shape[1]
    width = pool_size(candidates, hard_fraction)
    if width == candidates <= count:
        return None
    # Pools differ in size between anchors, and topk takes one size. Dummies with infinite hardness pad every pool to
    # `width`, which avoids a sort.
    pool_A = (context.legal_A.double() * hard_fraction - ROUNDING_MARGIN).ceil()
    is_dummy_AW = torch.arange(width, device=pool_A.device) < (width - pool_A)[:, None]
    widened = with_extra_columns(hardness_AM, width)
    widened[:, candidates:].fill_(EXCLUDED).masked_fill_(is_dummy_AW, torch.inf)
    pool = top(widened, width)
    in_pool_AW = pool.valid_AK & (pool.index_AK < candidates)
    index_AW = pool.index_AK.clamp(max=candidates - 1)
    if width <= count:
        return Selection(index_AW, in_pool_AW)
    drawn = draw(in_pool_AW, count, context.generator)
    return Selection(index_AW.gather(1, drawn.index_AK), drawn.valid_AK)


MINERS: dict[str, Entry[Miner]] = {
    "random": Entry(code=mine_random),
    "hardest": Entry(code=mine_hardest),
    "semi_hard": Entry(code=mine_semi_hard),
}
"""The values of `MiningConfig.kind`."""


def with_extra_columns(hardness_AM: Tensor, extra: int) -> Tensor:
    """`hardness_AM` with `extra` uninitialised columns behind it: a view if its buffer has them, else a copy."""
    anchors, candidates = hardness_AM.shape
    wide = (anchors, candidates + extra)
    if hardness_AM.stride() == (candidates + extra, 1):
        return hardness_AM.as_strided(wide, hardness_AM.stride())
    widened = hardness_AM.new_empty(wide)
    widened[:, :candidates] = hardness_AM
    return widened


def is_legal(hardness_AM: Tensor) -> Tensor:
    """True where a candidate is not excluded."""
    return hardness_AM > EXCLUDED / 2


def top(hardness_AM: Tensor, count: int) -> Selection:
    """The `count` hardest legal candidates, unordered: sorting them takes four times as long on a CPU."""
    hardness_AK, index_AK = hardness_AM.topk(count, dim=1, sorted=False)
    return Selection(index_AK, is_legal(hardness_AK))


def draw(legal_AM: Tensor, count: int, generator: torch.Generator) -> Selection:
    """`count` legal candidates at random."""
    lot_AM = torch.rand(legal_AM.shape, generator=generator, device=legal_AM.device)
    return top(lot_AM.masked_fill_(~legal_AM, EXCLUDED), count)
