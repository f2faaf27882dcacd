"""Candidates of a step."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import MemoryConfig
from trainer.contrast.keys import BatchKeys, Keys, bank_keys, batch_slots
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
    keys = Keys(batch=BatchKeys(embedding_at(embedding_BDhw, slots.position_N), slots), bank=bank_keys(bank))
    stored_C = sum(queue.count_C for queue in bank.contents())
    assert keys.count_valid().tolist() == [(4 + stored_C).tolist()]
    assert keys.bank[0].embedding_CKD.data_ptr() == bank.contents()[0].embedding_CKD.data_ptr()
    matrix, class_a, zero_a = SimilarityMatrix(keys, 1), torch.arange(3), torch.zeros(3, dtype=torch.int64)
    column_aK, is_other_aK = matrix.batch_columns(class_a, zero_a, slots.position_N[slots.first_SC[0]])
    assert is_other_aK.tolist() == [[False, True, True, True]] * 3, "the first is the anchor itself"
    column_aP = torch.cat([column_aK, matrix.bank_columns(class_a)], dim=1)
    key_ND = torch.cat([keys.batch.embedding_ND, *(block.embedding_CKD.flatten(0, 1) for block in keys.bank)])
    row_PD = embedding_BDhw.movedim(1, -1).reshape(-1, 4)
    for c in range(3):
        assert (label_P[slots.position_N[column_aK[c]]] == c).all()
        expected = (row_PD[slots.position_N[column_aK[c]]], *(block.embedding_CKD[c] for block in keys.bank))
        assert torch.equal(key_ND[column_aP[c]], torch.cat(expected))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 999), st.integers(1, 3), st.integers(1, 20), st.integers(1, 5))
def test_each_class_of_a_scope_has_all_its_pixels_up_to_the_cap(seed, scopes, per_class, classes):
    """Against counting: distinct pixels of the class and image, at the rows that the table of first rows says."""
    generator = torch.Generator().manual_seed(seed)
    label_P = torch.randint(-1, classes + 1, (scopes * 15,), generator=generator)
    slots = batch_slots(label_P, classes, per_class, scopes=scopes, generator=generator)
    assert slots.rows == min(15, classes * per_class)
    sampled_CK, is_sampled_CK = slots.sample(2)
    for s in range(scopes):
        here, after = label_P.view(scopes, 15)[s], 0
        for c in range(classes):
            first, number = int(slots.first_SC[s, c]), int(slots.count_SC[s, c])
            assert first == after
            after += number
            position = slots.position_N[s * slots.rows + first : s * slots.rows + first + number].tolist()
            assert number == len(set(position)) == min(per_class, int((here == c).sum()))
            assert all(p // 15 == s and label_P[p] == c for p in position)
            rows = sampled_CK[c, 2 * s : 2 * s + 2][is_sampled_CK[c, 2 * s : 2 * s + 2]]
            assert slots.position_N[rows].tolist() == position[:2]
        assert int(slots.is_key().view(scopes, -1)[s].sum()) == after
    assert slots.count_SC.max() <= slots.per_class


def test_every_pixel_of_a_class_is_equally_likely_to_be_a_key():
    generator, hits = torch.Generator().manual_seed(0), torch.zeros(10)
    for _ in range(2000):
        slots = batch_slots(torch.zeros(10, dtype=torch.int64), 1, 3, scopes=1, generator=generator)
        hits[slots.position_N] += 1
    assert (hits / 2000 - 0.3).abs().max() < 0.05
