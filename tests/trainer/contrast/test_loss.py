"""The loss and its gradient against a triple loop and against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer.contrast.loss as loss_module
from trainer.config import MiningConfig
from trainer.contrast.keys import BANK_ROW, KeyBlock, Keys
from trainer.contrast.loss import Anchors, info_nce, mined_info_nce


def test_value_by_hand():
    positive_AP, negative_AQ = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, -1.0]])
    both = torch.ones(1, 2, dtype=torch.bool)
    others = math.exp(1) + math.exp(-1)
    expected = (-math.log(math.exp(2) / (math.exp(2) + others)) - math.log(1 / (1 + others))) / 2
    assert info_nce(positive_AP, both, negative_AQ, both).item() == pytest.approx(expected, rel=1e-6)
    only_first = torch.tensor([[True, False]])
    expected = -math.log(math.exp(2) / (math.exp(2) + math.exp(1)))
    assert info_nce(positive_AP, only_first, negative_AQ, only_first).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("missing", ["positives", "negatives", "both"])
def test_missing_candidates_give_a_finite_differentiable_zero(missing):
    logit_AP, logit_AQ = torch.randn(2, 3, requires_grad=True), torch.randn(2, 4, requires_grad=True)
    is_positive = torch.full((2, 3), missing == "negatives")
    is_negative = torch.full((2, 4), missing == "positives")
    loss_A = info_nce(logit_AP, is_positive, logit_AQ, is_negative)
    loss_A.sum().backward()
    assert loss_A.tolist() == [0, 0]
    assert logit_AP.grad.abs().sum() == logit_AQ.grad.abs().sum() == 0


def test_extreme_logits_stay_finite():
    logit = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss_A = info_nce(logit, torch.ones(1, 2, dtype=torch.bool), logit.flip(1), torch.ones(1, 2, dtype=torch.bool))
    loss_A.sum().backward()
    assert loss_A.isfinite().all()
    assert logit.grad.isfinite().all()


def draw_scene(seed: int, scopes: int) -> tuple[Anchors, Keys, torch.Tensor, torch.Tensor]:
    """Random anchors, keys of the mini-batch (some of them anchors too) and, without scopes, a bank."""
    generator = torch.Generator().manual_seed(seed)
    classes, slots, anchors = 3, 4, 9

    def unit(*shape: int) -> torch.Tensor:
        return F.normalize(torch.randn(*shape, generator=generator), dim=-1)

    def flags(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) < 0.7

    anchor_AD = unit(anchors, 5).requires_grad_()
    batch_CKD = unit(classes, scopes * slots, 5).requires_grad_()
    position_CK = torch.randint(0, 12, (classes, scopes * slots), generator=generator)
    blocks = [KeyBlock(batch_CKD, flags(classes, scopes * slots), position_CK)]
    if scopes == 1:
        blocks.append(KeyBlock(unit(classes, 6, 5), flags(classes, 6), torch.full((classes, 6), BANK_ROW)))
    made = Anchors(
        embedding_AD=anchor_AD,
        class_A=torch.randint(0, classes, (anchors,), generator=generator),
        position_A=torch.randint(0, 12, (anchors,), generator=generator),
        scope_A=torch.randint(0, scopes, (anchors,), generator=generator),
        valid_A=flags(anchors),
    )
    return made, Keys.join(*blocks, scopes=scopes), anchor_AD, batch_CKD


def oracle(anchors: Anchors, keys: Keys, mining: MiningConfig, temperature: float) -> torch.Tensor:
    """Equation 3 with loops over anchors, candidates and positives; `hardest` mining by sorting."""
    key_ND = torch.cat(keys.blocks_KD)
    losses = []
    for a in range(len(anchors.class_A)):
        positives, negatives = [], []
        for n in keys.column_SCM[int(anchors.scope_A[a])].flatten().tolist():
            similarity = (anchors.embedding_AD[a] * key_ND[n]).sum()
            if not keys.valid_N[n]:
                continue
            if keys.class_N[n] != anchors.class_A[a]:
                negatives.append(similarity)
            elif keys.position_N[n] != anchors.position_A[a]:
                positives.append(similarity)
        positives = sorted(positives, key=lambda s: s.item())[: mining.positives]
        negatives = sorted(negatives, key=lambda s: -s.item())[: mining.negatives]
        if anchors.valid_A[a] and positives:
            terms = []
            for positive in positives:
                top = (positive / temperature).exp()
                bottom = top + sum((negative / temperature).exp() for negative in negatives)
                terms.append(-(top / bottom).log())
            losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses) if losses else anchors.embedding_AD.sum() * 0


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 9999), st.sampled_from([1, 3]), st.integers(1, 12), st.integers(1, 30), st.sampled_from([0.1, 1]))
def test_loss_and_gradient_equal_the_triple_loop(seed, scopes, positives, negatives, temperature):
    anchors, keys, anchor_AD, batch_CKD = draw_scene(seed, scopes)
    mining = MiningConfig(kind="hardest", positives=positives, negatives=negatives)
    expected = oracle(anchors, keys, mining, temperature)
    expected_grads = torch.autograd.grad(expected, (anchor_AD, batch_CKD), allow_unused=True, materialize_grads=True)
    mined = mined_info_nce(anchors, keys, mining, temperature, torch.Generator())
    grads = torch.autograd.grad(mined.loss, (anchor_AD, batch_CKD))
    torch.testing.assert_close(mined.loss, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(grads, expected_grads, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scopes", [1, 3])
def test_small_blocks_give_the_same(monkeypatch, scopes):
    anchors, keys, anchor_AD, batch_CKD = draw_scene(7, scopes)
    monkeypatch.setattr(loss_module, "BLOCK_ANCHORS", 1)
    results = []
    for similarities in (2**22, 2 * len(keys.valid_N), 1):
        monkeypatch.setattr(loss_module, "BLOCK_SIMILARITIES", similarities)
        mined = mined_info_nce(anchors, keys, MiningConfig(kind="hardest", negatives=5), 0.1, torch.Generator())
        results.append((mined.loss.detach(), *torch.autograd.grad(mined.loss, (anchor_AD, batch_CKD))))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


def test_temperature_does_not_scale_the_loss():
    """With similarities all alike the loss is log(1 + negatives) at every temperature."""
    one_AD, flag_CK = torch.ones(1, 1), torch.ones(2, 3, dtype=torch.bool)
    keys = Keys.join(KeyBlock(torch.ones(2, 3, 1), flag_CK, torch.full((2, 3), BANK_ROW)))
    zero = torch.zeros(1, dtype=torch.int64)
    anchors = Anchors(one_AD, class_A=zero, position_A=zero, scope_A=zero, valid_A=flag_CK[0, :1])
    for temperature in (0.05, 0.1, 1.0):
        mined = mined_info_nce(anchors, keys, MiningConfig(kind="random"), temperature, torch.Generator())
        assert mined.loss.item() == pytest.approx(math.log(4), rel=1e-4)
        assert (mined.positives, mined.negatives, mined.anchors) == (3, 3, 1)
        assert mined.positive_similarity == mined.negative_similarity == 1
