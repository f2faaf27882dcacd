"""Candidates of a step."""

from __future__ import annotations

import torch

from trainer.config import MemoryConfig
from trainer.contrast.keys import BANK_ROW, Keys, bank_keys, batch_keys
from trainer.contrast.memory import MemoryBank


def label_of(images: int, pixels: int) -> torch.Tensor:
    label_P = torch.randint(0, 3, (images * pixels,), generator=torch.Generator().manual_seed(0))
    label_P[::5] = 255
    return label_P


def test_columns_of_a_class_hold_its_keys_of_all_blocks():
    embedding_BDhw, label_P = torch.randn(2, 4, 3, 5), label_of(2, 15)
    bank = MemoryBank(MemoryConfig(pixels_per_class=6, regions_per_class=2), 3, 4)
    generator = torch.Generator().manual_seed(0)
    bank.push(embedding_BDhw, label_P.view(2, 3, 5), generator=generator)
    keys = Keys.join(batch_keys(embedding_BDhw, label_P, 3, 4, generator=generator), *bank_keys(bank))
    assert keys.column_SCM.shape == (1, 3, 4 + 6 + 2)
    assert keys.column_SCM.flatten().sort().values.tolist() == list(range(36))
    for c in range(3):
        assert (keys.class_N[keys.column_SCM[0, c]] == c).all()
    assert (keys.position_N[12:] == BANK_ROW).all()
    assert keys.blocks_KD[1].data_ptr() == bank.contents()[0].embedding_CKD.data_ptr()


def test_a_scope_holds_keys_of_its_own_image_only():
    embedding_BDhw, label_P = torch.randn(3, 4, 3, 5), label_of(3, 15)
    block = batch_keys(embedding_BDhw, label_P, 3, 4, scopes=3, generator=torch.Generator().manual_seed(0))
    keys = Keys.join(block, scopes=3)
    for image in range(3):
        for c in range(3):
            column_M = keys.column_SCM[image, c]
            position_M = keys.position_N[column_M][keys.valid_N[column_M]]
            assert (position_M // 15 == image).all()
            assert (label_P[position_M] == c).all()
            assert len(position_M) == min(4, int((label_P.view(3, 15)[image] == c).sum()))
