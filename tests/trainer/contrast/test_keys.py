"""Candidates of a step."""

from __future__ import annotations

import torch

from trainer.config import MemoryConfig
from trainer.contrast.keys import KeyBlock, Keys, bank_keys, batch_slots
from trainer.contrast.memory import MemoryBank
from trainer.contrast.pixels import embedding_at
from trainer.contrast.similarity import SimilarityMatrix


def label_of(images: int, pixels: int) -> torch.Tensor:
    label_P = torch.randint(0, 3, (images * pixels,), generator=torch.Generator().manual_seed(0))
    label_P[::5] = 255
    return label_P


def test_keys_are_numbered_class_by_class_and_counted():
    embedding_BDhw, label_P = torch.randn(2, 4, 3, 5), label_of(2, 15)
    bank = MemoryBank(MemoryConfig(pixels_per_class=6, regions_per_class=2), 3, 4)
    generator = torch.Generator().manual_seed(0)
    bank.push(embedding_BDhw, label_P.view(2, 3, 5), generator=generator)
    slots = batch_slots(label_P, 3, 4, scopes=1, generator=generator)
    batch = KeyBlock(embedding_at(embedding_BDhw, slots.index_Gk.flatten()).view(3, 4, 4), slots.valid_Gk)
    keys = Keys(batch=batch, position_CK=slots.index_Gk, bank=bank_keys(bank))
    assert keys.rows == (4, 6, 2)
    assert keys.count_valid().tolist() == [sum(block.valid_CK.sum(1) for block in keys.blocks).tolist()]
    assert keys.bank[0].embedding_CKD.data_ptr() == bank.contents()[0].embedding_CKD.data_ptr()
    column_CP = SimilarityMatrix(keys, 1).column_CP
    key_ND = torch.cat([block.embedding_CKD.flatten(0, 1) for block in keys.blocks])
    for c in range(3):
        assert torch.equal(key_ND[column_CP[c]], torch.cat([block.embedding_CKD[c] for block in keys.blocks]))


def test_a_scope_holds_keys_of_its_own_image_only():
    label_P = label_of(3, 15)
    slots = batch_slots(label_P, 3, 4, scopes=3, generator=torch.Generator().manual_seed(0))
    for c in range(3):
        for image in range(3):
            position_k = slots.index_Gk.view(3, 3, 4)[c, image][slots.valid_Gk.view(3, 3, 4)[c, image]]
            assert (position_k // 15 == image).all()
            assert (label_P[position_k] == c).all()
            assert len(position_k) == min(4, int((label_P.view(3, 15)[image] == c).sum()))
