"""Every miner of the table against the contract, and against its slow reference in random cases."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.block_size import extra_columns, pool_size
from trainer.config import MiningConfig
from trainer.contrast.mining import MINERS, mine_semi_hard
from trainer.testing.miner import POOLS, MinerContract, check_against_pool, context_of


class TestMiners(MinerContract):
    @pytest.fixture(params=MINERS)
    def kind(self, request):
        return request.param


def test_table_holds_exactly_the_kinds_of_the_config():
    assert set(MINERS) == set(get_args(get_type_hints(MiningConfig)["kind"])) == set(POOLS)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(MINERS)),
    st.integers(1, 5),
    st.integers(1, 60),
    st.integers(1, 70),
    st.sampled_from([0.1, 0.3, 1.0]),
    st.integers(0, 999),
)
def test_choices_are_those_of_the_slow_oracle(kind, anchors, candidates, count, fraction, seed):
    check_against_pool(kind, POOLS[kind], anchors, candidates, count, fraction, seed)


def test_pool_size_rounds_up_but_not_from_rounding_errors():
    assert [pool_size(n, 0.1) for n in (1, 10, 11, 30, 70)] == [1, 1, 2, 3, 7]


def test_extra_columns_are_used_and_change_no_choice():
    candidates, fraction = 60, 0.3
    extra = extra_columns("semi_hard", candidates, fraction)
    assert (extra, extra_columns("hardest", candidates, fraction)) == (18, 0)
    wide_AX = torch.rand(4, candidates + extra, generator=torch.Generator().manual_seed(0))
    close_AM = wide_AX[:, :candidates].clone()
    legal_A, behind = torch.full((4,), candidates), wide_AX[:, candidates:].clone()
    found = [
        mine_semi_hard(context_of(hardness_AM, legal_A, 5, fraction, torch.Generator().manual_seed(1)))
        for hardness_AM in (wide_AX[:, :candidates], close_AM)
    ]
    assert torch.equal(found[0].index_AK, found[1].index_AK)
    assert torch.equal(wide_AX[:, :candidates], close_AM)
    assert not torch.equal(wide_AX[:, candidates:], behind), "no copy is made if there are extra columns"
