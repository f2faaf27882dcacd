"""Reduction to embedding resolution and reading at flat positions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contrast.pixels import embedding_at, label_at, reduce_nearest


def test_reduction_takes_the_pixel_at_the_centre_of_each_cell():
    map_BHW = torch.arange(8)[None, :, None].expand(1, 8, 4)
    assert reduce_nearest(map_BHW, (2, 1)).tolist() == [[[2], [6]]]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 8])
def test_sides_that_are_multiples_are_reduced_like_others(stride):
    """Cell by cell: the pixel whose centre is nearest to that of the cell, the later one of two."""
    map_BHW = torch.arange(2 * 4 * stride * 6 * stride).view(2, 4 * stride, 6 * stride)
    expected = [
        [[int(map_BHW[b, (2 * y + 1) * stride // 2, (2 * x + 1) * stride // 2]) for x in range(6)] for y in range(4)]
        for b in range(2)
    ]
    assert reduce_nearest(map_BHW, (4, 6)).tolist() == expected


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9))
def test_label_read_at_a_position_equals_the_reduced_map(height, width, h, w, seed):
    label_BHW = torch.randint(0, 100, (2, height, width), generator=torch.Generator().manual_seed(seed))
    read_P = label_at(label_BHW, torch.arange(2 * h * w), (h, w))
    assert torch.equal(read_P, reduce_nearest(label_BHW, (h, w)).flatten())


def test_embedding_rows_and_their_gradient():
    embedding_BDhw = torch.randn(2, 3, 4, 5, dtype=torch.bfloat16, requires_grad=True)
    position_N = torch.tensor([0, 21, 39, 21])
    rows_ND = embedding_at(embedding_BDhw, position_N)
    assert rows_ND.dtype == torch.float32
    assert torch.equal(rows_ND, embedding_BDhw.permute(0, 2, 3, 1).reshape(40, 3)[position_N].float())
    rows_ND.sum().backward()
    assert embedding_BDhw.grad[1, :, 0, 1].tolist() == [2.0, 2.0, 2.0]
