"""Miners against a slow oracle."""

from __future__ import annotations

import math
from typing import get_args, get_type_hints

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import MiningConfig
from trainer.contrast.mining import ILLEGAL, MINERS, pool_size

CASES = given(
    st.integers(1, 5), st.integers(1, 60), st.integers(1, 70), st.sampled_from([0.1, 0.3, 1.0]), st.integers(0, 999)
)


def scene(anchors: int, candidates: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    hardness_AM = torch.rand(anchors, candidates, generator=generator) * 2 - 1
    legal_AM = torch.rand(anchors, candidates, generator=generator) < torch.rand(1, generator=generator)
    return hardness_AM, legal_AM, generator


def mine(kind, hardness_AM, legal_AM, count, fraction, generator):
    return MINERS[kind](hardness_AM.masked_fill(~legal_AM, ILLEGAL), legal_AM.sum(1), count, fraction, generator)


def chosen_sets(kind, hardness_AM, legal_AM, count, fraction, generator) -> list[set[int]]:
    selection = mine(kind, hardness_AM, legal_AM, count, fraction, generator)
    if selection is None:
        return [set(legal.nonzero().flatten().tolist()) for legal in legal_AM]
    assert selection.index_AK.min() >= 0
    assert selection.index_AK.max() < hardness_AM.shape[1]
    rows = zip(selection.index_AK, selection.valid_AK, strict=True)
    chosen = [index[valid].tolist() for index, valid in rows]
    assert all(len(row) == len(set(row)) for row in chosen)
    return [set(row) for row in chosen]


def ranked(hardness: torch.Tensor, legal: torch.Tensor) -> list[int]:
    """Legal candidates of one anchor, hardest first: the dumb way."""
    return sorted((m for m in range(len(legal)) if legal[m]), key=lambda m: -float(hardness[m]))


def test_table_holds_exactly_the_kinds_of_the_config():
    assert set(MINERS) == set(get_args(get_type_hints(MiningConfig)["kind"]))


@settings(max_examples=60, deadline=None, derandomize=True)
@CASES
def test_hardest_equals_the_sorted_candidates(anchors, candidates, count, fraction, seed):
    hardness_AM, legal_AM, generator = scene(anchors, candidates, seed)
    chosen = chosen_sets("hardest", hardness_AM, legal_AM, count, fraction, generator)
    for a in range(anchors):
        assert chosen[a] == set(ranked(hardness_AM[a], legal_AM[a])[:count])


@settings(max_examples=60, deadline=None, derandomize=True)
@CASES
def test_random_chooses_legal_candidates_and_as_many_as_it_can(anchors, candidates, count, fraction, seed):
    hardness_AM, legal_AM, generator = scene(anchors, candidates, seed)
    chosen = chosen_sets("random", hardness_AM, legal_AM, count, fraction, generator)
    for a in range(anchors):
        legal = set(ranked(hardness_AM[a], legal_AM[a]))
        assert chosen[a] <= legal
        assert len(chosen[a]) == min(count, len(legal))


@settings(max_examples=60, deadline=None, derandomize=True)
@CASES
def test_semi_hard_draws_from_the_hardest_fraction(anchors, candidates, count, fraction, seed):
    hardness_AM, legal_AM, generator = scene(anchors, candidates, seed)
    chosen = chosen_sets("semi_hard", hardness_AM, legal_AM, count, fraction, generator)
    for a in range(anchors):
        order = ranked(hardness_AM[a], legal_AM[a])
        pool = order[: math.ceil(round(fraction * len(order), 6))]
        assert chosen[a] <= set(pool)
        assert len(chosen[a]) == min(count, len(pool))


@pytest.mark.parametrize(("kind", "likely"), [("random", range(5, 45)), ("semi_hard", range(5, 25))])
def test_draws_are_uniform_over_what_may_be_drawn(kind, likely):
    hardness_AM = -torch.arange(50.0).expand(4000, 50)
    legal_AM = ((torch.arange(50) >= 5) & (torch.arange(50) < 45)).expand(4000, 50)
    selection = mine(kind, hardness_AM, legal_AM, 8, 0.5, torch.Generator().manual_seed(0))
    share_M = torch.zeros(50).index_add_(0, selection.index_AK.flatten(), selection.valid_AK.flatten().float()) / 4000
    assert share_M.sum().item() == pytest.approx(8)
    assert (share_M[likely] - 8 / len(likely)).abs().max() < 0.03


@pytest.mark.parametrize("kind", MINERS)
def test_the_same_generator_state_gives_the_same_choice(kind):
    hardness_AM, legal_AM, _ = scene(4, 60, 1)
    first, second = (mine(kind, hardness_AM, legal_AM, 3, 0.5, torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(first.index_AK, second.index_AK)


def test_pool_size_rounds_up_but_not_from_rounding_errors():
    assert [pool_size(n, 0.1) for n in (1, 10, 11, 30, 70)] == [1, 1, 2, 3, 7]
