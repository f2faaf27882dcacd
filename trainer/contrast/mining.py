"""Mining: which of its legal candidates an anchor meets (paper, section 3.3).

Axes: A anchors, M candidates, K chosen. Hardness grows with difficulty: the similarity of a negative, minus the
similarity of a positive; a candidate that the anchor may not meet is marked by the hardness `ILLEGAL`. Among equally
hard candidates it is not said which one is taken. To add a miner write a function like `hardest` and add it to
`MINERS` and `MiningConfig.kind`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = [
    "ILLEGAL",
    "MINERS",
    "Miner",
    "Selection",
    "hardest",
    "is_legal",
    "pool_size",
    "random",
    "room_behind",
    "semi_hard",
]

ILLEGAL = -1e30
"""Hardness, or logit, of what does not take part: its exponential is exactly 0 and, unlike minus infinity, it gives
no NaN."""

ROUNDING = 1e-9
"""Taken off before rounding up, so that 0.1 of 30 is 3 and not 4."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen candidates of each anchor, none twice."""

    index_AK: Tensor
    """Candidate numbers, int64; arbitrary but in range where `valid_AK` is False."""
    valid_AK: Tensor
    """True where a candidate was chosen."""


Miner: TypeAlias = Callable[[Tensor, Tensor, int, float, torch.Generator], Selection | None]
"""(hardness_AM, legal_A, count, hard_fraction, generator) -> at most `count` legal candidates of each anchor; None for
all of them. `legal_A` says how many are legal. Rows may lie further apart by `room_behind`, memory for the miner."""


def random(
    hardness_AM: Tensor, legal_A: Tensor, count: int, hard_fraction: float, generator: torch.Generator
) -> Selection | None:
    """`count` legal candidates at random."""
    del legal_A, hard_fraction
    return None if hardness_AM.shape[1] <= count else draw(is_legal(hardness_AM), count, generator)


def hardest(
    hardness_AM: Tensor, legal_A: Tensor, count: int, hard_fraction: float, generator: torch.Generator
) -> Selection | None:
    """The `count` hardest legal candidates."""
    del legal_A, hard_fraction, generator
    return None if hardness_AM.shape[1] <= count else top(hardness_AM, count)


def semi_hard(
    hardness_AM: Tensor, legal_A: Tensor, count: int, hard_fraction: float, generator: torch.Generator
) -> Selection | None:
    """`count` at random among the hardest `hard_fraction` of an anchor's legal candidates.

    The pool holds ceil(hard_fraction * legal candidates), so at least one where there is any. A pool smaller than
    `count` is taken whole and not filled up with easier ones.
    """
    candidates = hardness_AM.shape[1]
    width = pool_size(candidates, hard_fraction)
    if width == candidates <= count:
        return None
    # Anchors have pools of different sizes, which only a sort could tell apart within a list of `width`. Dummies that
    # are harder than all fill the pools up to the same size, and no order is needed.
    pool_A = (legal_A.double() * hard_fraction - ROUNDING).ceil()
    is_dummy_AW = torch.arange(width, device=pool_A.device) < (width - pool_A)[:, None]
    widened = with_room(hardness_AM, width)
    widened[:, candidates:].fill_(ILLEGAL).masked_fill_(is_dummy_AW, torch.inf)
    pool = top(widened, width)
    in_pool_AW = pool.valid_AK & (pool.index_AK < candidates)
    index_AW = pool.index_AK.clamp(max=candidates - 1)
    if width <= count:
        return Selection(index_AW, in_pool_AW)
    drawn = draw(in_pool_AW, count, generator)
    return Selection(index_AW.gather(1, drawn.index_AK), drawn.valid_AK)


MINERS: dict[str, Miner] = {"random": random, "hardest": hardest, "semi_hard": semi_hard}
"""The values of `MiningConfig.kind`."""


def pool_size(candidates: int, hard_fraction: float) -> int:
    """Candidates that `semi_hard` keeps of so many: ceil(hard_fraction * candidates)."""
    return math.ceil(candidates * hard_fraction - ROUNDING)


def room_behind(kind: str, candidates: int, hard_fraction: float) -> int:
    """Columns behind the hardness of so many candidates that a miner may write to, and so need not copy it."""
    return pool_size(candidates, hard_fraction) if kind == "semi_hard" else 0


def with_room(hardness_AM: Tensor, room: int) -> Tensor:
    """`hardness_AM` and `room` columns more, of any content: where its rows lie so far apart, or a copy."""
    anchors, candidates = hardness_AM.shape
    step, along = hardness_AM.stride()
    wide = (anchors, candidates + room)
    if along == 1 and step == candidates + room:
        return hardness_AM.as_strided(wide, (step, 1))
    widened = hardness_AM.new_empty(wide)
    widened[:, :candidates] = hardness_AM
    return widened


def is_legal(hardness_AM: Tensor) -> Tensor:
    """True where a candidate may be met."""
    return hardness_AM > ILLEGAL / 2


def top(hardness_AM: Tensor, count: int) -> Selection:
    """The `count` hardest legal candidates, in no order: sorting them would take four times as long on a CPU."""
    hardness_AK, index_AK = hardness_AM.topk(count, dim=1, sorted=False)
    return Selection(index_AK, is_legal(hardness_AK))


def draw(legal_AM: Tensor, count: int, generator: torch.Generator) -> Selection:
    """`count` legal candidates at random."""
    lot_AM = torch.rand(legal_AM.shape, generator=generator, device=legal_AM.device)
    return top(lot_AM.masked_fill_(~legal_AM, ILLEGAL), count)
