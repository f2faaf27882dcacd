"""What a mini-batch stores in the bank."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch
import torch.nn.functional as F

from trainer.config import MemoryConfig
from trainer.contrast.memory import MEMORIES, MemoryBank, pixel_rows, region_rows


def batch(images: int = 3, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings that hold (image, y, x) in their first channels, and labels at twice the size."""
    h, w = 6, 5
    image, y, x = torch.meshgrid(torch.arange(images), torch.arange(h), torch.arange(w), indexing="ij")
    label_Bhw = torch.randint(0, classes, (images, h, w), generator=torch.Generator().manual_seed(1))
    label_Bhw[:, 0, 0] = 255
    label_Bhw[1][label_Bhw[1] == 2] = 255
    return torch.stack([image, y, x], dim=1).float(), label_Bhw.repeat_interleave(2, 1).repeat_interleave(2, 2)


def test_table_holds_exactly_the_kinds_of_the_config():
    assert set(MEMORIES) == set(get_args(get_type_hints(MemoryConfig)["kind"]))


def test_pixel_rows_are_pixels_of_their_class_in_image_order():
    embedding_BDhw, label_BHW = batch()
    rows = pixel_rows(embedding_BDhw, label_BHW, label_BHW, 4, 3, generator=torch.Generator().manual_seed(0))
    for c in range(4):
        stored_RD = rows.embedding_CRD[c][rows.valid_CR[c]].long()
        assert (label_BHW[stored_RD[:, 0], 2 * stored_RD[:, 1], 2 * stored_RD[:, 2]] == c).all()
        assert stored_RD[:, 0].tolist() == sorted(stored_RD[:, 0].tolist())
        assert len(stored_RD.unique(dim=0)) == len(stored_RD)
        expected = sum(min(3, int((label_BHW[b, ::2, ::2] == c).sum())) for b in range(3))
        assert len(stored_RD) == expected
    assert (rows.purity_CR[rows.valid_CR] == 1).all()


def test_region_rows_are_normalised_means():
    embedding_BDhw, label_BHW = batch()
    rows = region_rows(embedding_BDhw, label_BHW, label_BHW, 4)
    assert rows.valid_CR[2].tolist() == [True, False, True]
    for c in range(4):
        for b in range(3):
            if rows.valid_CR[c, b]:
                mean_D = embedding_BDhw[b][:, label_BHW[b, ::2, ::2] == c].mean(dim=1)
                torch.testing.assert_close(rows.embedding_CRD[c, b], F.normalize(mean_D, dim=0))
    assert (rows.purity_CR[rows.valid_CR] == 1).all()


@pytest.mark.parametrize("kind", MEMORIES)
def test_bank_has_the_queues_of_its_kind(kind):
    config = MemoryConfig(kind=kind, pixels_per_class=7, regions_per_class=5, pixels_per_image=2)
    bank = MemoryBank(config, 4, 3)
    assert [queue.capacity for queue in bank.contents()] == [{"pixel": 7, "region": 5}[name] for name in MEMORIES[kind]]
    assert bank.fill() == 0
    assert bank.purity() is None
    bank.push(*batch(), generator=torch.Generator().manual_seed(0))
    assert (bank.purity() is None) == (kind == "none")
    if kind == "region":
        assert bank.fill() == pytest.approx((3 + 3 + 2 + 3) / 20)
