"""Alignment and uniformity compared with loops and with known values."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from trainer.contrast.alignment import ROWS, alignment_and_uniformity


def test_equals_loops_over_pairs():
    generator = torch.Generator().manual_seed(0)
    embedding_CKD = F.normalize(torch.randn(3, 4, 5, generator=generator), dim=2)
    valid_CK = torch.rand(3, 4, generator=generator) < 0.7
    rows = [(c, embedding_CKD[c, k]) for c in range(3) for k in range(4) if valid_CK[c, k]]
    pairs = [(c == d, float((x - y).square().sum())) for i, (c, x) in enumerate(rows) for d, y in rows[:i]]
    alike = [distance for same, distance in pairs if same]
    uniformity = math.log(sum(math.exp(-2 * distance) for _, distance in pairs) / len(pairs))
    found = alignment_and_uniformity(embedding_CKD, valid_CK)
    assert [float(value) for value in found] == pytest.approx([sum(alike) / len(alike), uniformity], rel=1e-5)


def test_collapsed_and_opposite_embeddings():
    one_CKD, all_CK = torch.ones(2, 3, 1), torch.ones(2, 3, dtype=torch.bool)
    assert [float(value) for value in alignment_and_uniformity(one_CKD, all_CK)] == [0, 0]
    one_CKD[1] = -1
    alignment, uniformity = alignment_and_uniformity(one_CKD, all_CK)
    assert alignment == 0
    assert float(uniformity) == pytest.approx(math.log((6 + 9 * math.exp(-8)) / 15))


def test_spread_over_the_sphere():
    embedding_CKD = F.normalize(torch.randn(4, 900, 256, generator=torch.Generator().manual_seed(1)), dim=2)
    alignment, uniformity = alignment_and_uniformity(embedding_CKD, torch.ones(4, 900, dtype=torch.bool))
    assert float(alignment) == pytest.approx(2, abs=0.02)
    assert float(uniformity) == pytest.approx(-4, abs=0.05)
    assert ROWS < 4 * 900


def test_without_a_pair_there_is_nothing_to_average():
    found = alignment_and_uniformity(torch.ones(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool))
    assert all(value.isnan() for value in found)
