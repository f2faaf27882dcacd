"""Every miner of the table against the contract, and against its slow oracle over random cases."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.miner import POOLS, MinerContract, check_against_pools
from trainer.config import MiningConfig
from trainer.contrast.mining import MINERS, pool_size


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
    check_against_pools(kind, anchors, candidates, count, fraction, seed)


def test_pool_size_rounds_up_but_not_from_rounding_errors():
    assert [pool_size(n, 0.1) for n in (1, 10, 11, 30, 70)] == [1, 1, 2, 3, 7]
