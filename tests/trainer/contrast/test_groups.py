"""Sampling of group members."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contrast.groups import sample_groups


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(-1, 5), min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 99))
def test_slots_hold_distinct_members_and_as_many_as_there_are(group, slots, seed):
    group_P = torch.tensor(group)
    drawn = sample_groups(group_P, 4, slots, generator=torch.Generator().manual_seed(seed))
    for g in range(4):
        chosen = drawn.index_Gk[g][drawn.valid_Gk[g]].tolist()
        assert len(chosen) == len(set(chosen)) == min(slots, group.count(g))
        assert all(group[index] == g for index in chosen)
    assert drawn.index_Gk.min() >= 0
    assert drawn.index_Gk.max() < len(group)


def test_marked_items_come_first():
    first_P = torch.tensor([False, True, False, True, False, True])
    for seed in range(20):
        drawn = sample_groups(
            torch.zeros(6, dtype=torch.int64), 1, 4, generator=torch.Generator().manual_seed(seed), first_P=first_P
        )
        assert set(drawn.index_Gk[0, :3].tolist()) == {1, 3, 5}


def test_every_member_is_equally_likely():
    generator, hits = torch.Generator().manual_seed(0), torch.zeros(10)
    for _ in range(2000):
        hits[sample_groups(torch.zeros(10, dtype=torch.int64), 1, 3, generator=generator).index_Gk[0]] += 1
    assert (hits / 2000 - 0.3).abs().max() < 0.05
