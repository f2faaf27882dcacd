"""MinerContract: what every miner must do. Inherit it and provide the fixture `kind`.

A miner that is not in `POOLS` provides the fixture `pool` as well.   Axes: A anchors, M candidates, K chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import Tensor

from trainer.contrast.mining import EXCLUDED, MINERS, MiningContext, Selection

__all__ = ["POOLS", "MinerContract", "Pool", "check_against_pool"]

Pool: TypeAlias = Callable[[list[int], int, float], list[int]]
"""(legal candidates of an anchor, hardest first; count; hard_fraction) -> those that `count` are drawn from, with equal
probability."""

POOLS: dict[str, Pool] = {
    "random": lambda ranked, count, fraction: ranked,
    "hardest": lambda ranked, count, fraction: ranked[:count],
    "semi_hard": lambda ranked, count, fraction: ranked[: math.ceil(round(fraction * len(ranked), 6))],
}
"""The pools of the miners in `MINERS`."""


def draw(seed: int = 0) -> torch.Generator:
    """A fresh generator."""
    return torch.Generator().manual_seed(seed)


def scene(anchors: int, candidates: int, seed: int) -> tuple[Tensor, Tensor]:
    """Hardness and legality (A, M); the share of legal candidates depends on the seed and may be 0 or 1."""
    generator = draw(seed)
    hardness_AM = torch.rand(anchors, candidates, generator=generator) * 2 - 1
    share = 2 * torch.rand(1, generator=generator) - 0.5
    return hardness_AM, torch.rand(anchors, candidates, generator=generator) < share


def mine(
    kind: str, hardness_AM: Tensor, legal_AM: Tensor, count: int, fraction: float, generator: torch.Generator
) -> Selection | None:
    """Run a miner of `MINERS`."""
    marked_AM = hardness_AM.masked_fill(~legal_AM, EXCLUDED)
    return MINERS[kind].code(context_of(marked_AM, legal_AM.sum(1), count, fraction, generator))


def context_of(
    hardness_AM: Tensor, legal_A: Tensor, count: int, fraction: float, generator: torch.Generator
) -> MiningContext:
    """The arguments of a miner."""
    return MiningContext(
        hardness_AM=hardness_AM, legal_A=legal_A, count=count, hard_fraction=fraction, generator=generator
    )


def chosen(
    kind: str, hardness_AM: Tensor, legal_AM: Tensor, count: int, fraction: float, generator: torch.Generator
) -> list[set[int]]:
    """Chosen candidates of each anchor; checks that they are distinct and in range."""
    selection = mine(kind, hardness_AM, legal_AM, count, fraction, generator)
    if selection is None:
        return [set(legal.nonzero().flatten().tolist()) for legal in legal_AM]
    assert selection.index_AK.shape == selection.valid_AK.shape
    assert selection.index_AK.min() >= 0
    assert selection.index_AK.max() < hardness_AM.shape[1]
    rows = [index[valid].tolist() for index, valid in zip(selection.index_AK, selection.valid_AK, strict=True)]
    assert all(len(row) == len(set(row)) for row in rows)
    return [set(row) for row in rows]


def pool_of(pool: Pool, hardness_M: Tensor, legal_M: Tensor, count: int, fraction: float) -> list[int]:
    """The pool of one anchor, by sorting."""
    ranked = sorted((m for m in range(len(legal_M)) if legal_M[m]), key=lambda m: -float(hardness_M[m]))
    return pool(ranked, count, fraction)


def check_against_pool(
    kind: str, pool: Pool, anchors: int, candidates: int, count: int, fraction: float, seed: int
) -> None:
    """Check that every choice is in its pool and as large as possible."""
    hardness_AM, legal_AM = scene(anchors, candidates, seed)
    found = chosen(kind, hardness_AM, legal_AM, count, fraction, draw(seed))
    for a in range(anchors):
        allowed = pool_of(pool, hardness_AM[a], legal_AM[a], count, fraction)
        assert found[a] <= set(allowed)
        assert len(found[a]) == min(count, len(allowed))


class MinerContract:
    """Inherit and provide the fixture `kind: str`, a key of MINERS, and `pool: Pool` if it is not in POOLS."""

    @pytest.fixture
    def pool(self, kind: str) -> Pool:
        return POOLS[kind]

    @pytest.mark.parametrize("fraction", [0.1, 0.3, 1.0])
    @pytest.mark.parametrize("count", [1, 8, 70])
    def test_choices_are_those_of_the_slow_oracle(self, kind: str, pool: Pool, count: int, fraction: float) -> None:
        for seed in range(6):
            check_against_pool(kind, pool, 4, 60, count, fraction, seed)

    def test_no_legal_candidate_gives_no_choice(self, kind: str) -> None:
        hardness_AM, none_AM = torch.rand(3, 50), torch.zeros(3, 50, dtype=torch.bool)
        assert chosen(kind, hardness_AM, none_AM, 4, 0.5, draw()) == [set()] * 3

    def test_equal_generators_give_equal_choices(self, kind: str) -> None:
        hardness_AM, legal_AM = scene(4, 60, 1)
        torch.manual_seed(1)
        first = mine(kind, hardness_AM, legal_AM, 3, 0.5, draw(9))
        torch.manual_seed(2)
        again = mine(kind, hardness_AM, legal_AM, 3, 0.5, draw(9))
        assert first is not None
        assert again is not None
        assert torch.equal(first.index_AK, again.index_AK)

    def test_hardness_counts_by_its_order_alone(self, kind: str) -> None:
        """So the temperature, which divides all similarities, changes no choice."""
        hardness_AM, legal_AM = scene(4, 60, 2)
        found = chosen(kind, hardness_AM, legal_AM, 5, 0.5, draw(9))
        assert chosen(kind, 8 * hardness_AM + 16, legal_AM, 5, 0.5, draw(9)) == found

    def test_the_order_of_candidates_changes_no_pool(self, kind: str) -> None:
        """Draws the whole pool, since single draws depend on positions (docs/released_code.md, 5)."""
        hardness_AM, legal_AM = scene(4, 60, 3)
        order_M = torch.randperm(60, generator=draw())
        everything = 60
        found = chosen(kind, hardness_AM, legal_AM, everything, 0.5, draw())
        moved = chosen(kind, hardness_AM[:, order_M], legal_AM[:, order_M], everything, 0.5, draw())
        assert [{int(order_M[m]) for m in row} for row in moved] == found

    def test_an_anchor_s_choice_is_its_own(self, kind: str) -> None:
        """The hardness of other anchors does not matter."""
        hardness_AM, legal_AM = scene(4, 60, 4)
        found = chosen(kind, hardness_AM, legal_AM, 5, 0.5, draw())
        hardness_AM[1:] = hardness_AM[1:].flip(1)
        assert chosen(kind, hardness_AM, legal_AM, 5, 0.5, draw())[0] == found[0]

    def test_every_member_of_the_pool_is_equally_likely(self, kind: str, pool: Pool) -> None:
        repeats, count = 4000, 8
        hardness_M = -torch.arange(50.0)
        legal_M = (torch.arange(50) >= 5) & (torch.arange(50) < 45)
        selection = mine(kind, hardness_M.expand(repeats, 50), legal_M.expand(repeats, 50), count, 0.5, draw())
        assert selection is not None
        taken_AK = selection.valid_AK.flatten().float()
        share_M = torch.zeros(50).index_add_(0, selection.index_AK.flatten(), taken_AK) / repeats
        allowed = pool_of(pool, hardness_M, legal_M, count, 0.5)
        assert float(share_M.sum()) == pytest.approx(min(count, len(allowed)))
        assert float((share_M[allowed] - count / len(allowed)).abs().max()) < 0.03

    def test_hardness_is_left_as_it_is(self, kind: str) -> None:
        hardness_AM, legal_AM = scene(4, 60, 5)
        marked_AM = hardness_AM.masked_fill(~legal_AM, EXCLUDED)
        before = marked_AM.clone()
        MINERS[kind].code(context_of(marked_AM, legal_AM.sum(1), 5, 0.5, draw()))
        assert torch.equal(marked_AM, before)
