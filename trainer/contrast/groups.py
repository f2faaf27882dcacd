"""Random members of groups: up to k per group, for all groups at once, without a loop or a host sync.

Axes: P items, G groups, k slots of a group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Slots", "sample_groups"]


@dataclass(frozen=True, slots=True)
class Slots:
    """Chosen items in slots of static shape; the filled slots of a group come first."""

    index_Gk: Tensor
    """Indices of items, int64; arbitrary but in range where `valid_Gk` is False."""
    valid_Gk: Tensor
    """True where a slot is filled."""


def sample_groups(
    group_P: Tensor, groups: int, slots: int, *, generator: torch.Generator, first_P: Tensor | None = None
) -> Slots:
    """Up to `slots` random members of every group, without duplicates, in random order.

    `group_P` holds group numbers; numbers outside 0..groups-1 mean no group. Items marked in `first_P` (bool) are
    chosen before the others of their group.
    """
    in_group_P = (group_P >= 0) & (group_P < groups)
    key_P = torch.where(in_group_P, group_P, groups)
    step = 1 if first_P is None else 2
    if first_P is not None:
        key_P = key_P * 2 + ~first_P
    order_P = torch.randperm(len(group_P), generator=generator, device=group_P.device)
    sorted_P, rank_P = key_P[order_P].sort(stable=True)
    order_P = order_P[rank_P]
    edge = torch.searchsorted(sorted_P, torch.arange(0, step * groups + 1, step, device=group_P.device))
    slot_k = torch.arange(slots, device=group_P.device)
    index_Gk = (edge[:-1, None] + slot_k).clamp(max=len(group_P) - 1)
    return Slots(order_P[index_Gk], slot_k < edge.diff()[:, None])
