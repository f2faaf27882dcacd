"""The loss and its gradient compared with a triple loop and with values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer.block_size as block_size
import trainer.contrast.similarity as similarity_module
from trainer.config import MiningConfig
from trainer.contrast.keys import BatchKeys, KeyBlock, Keys, batch_slots
from trainer.contrast.loss import Anchors, info_nce, mined_info_nce
from trainer.contrast.mining import EXCLUDED


def loss_of(positive_AP, is_positive_AP, negative_AQ, is_negative_AQ) -> torch.Tensor:
    """Loss of each anchor; its derivatives are checked against the pulls."""
    negative_A1 = negative_AQ.masked_fill(~is_negative_AQ, EXCLUDED).logsumexp(1, keepdim=True)
    if not negative_A1.requires_grad:
        negative_A1.requires_grad_()
    loss_A, pull_AP = info_nce(positive_AP, is_positive_AP, negative_A1)
    if positive_AP.requires_grad:
        grad_AP, grad_A1 = torch.autograd.grad(loss_A.sum(), (positive_AP, negative_A1), retain_graph=True)
        torch.testing.assert_close(grad_AP, -pull_AP)
        torch.testing.assert_close(grad_A1, pull_AP.sum(1, keepdim=True))
    return loss_A


def test_value_by_hand():
    positive_AP, negative_AQ = torch.tensor([[2.0, 0.0]], requires_grad=True), torch.tensor([[1.0, -1.0]])
    both = torch.ones(1, 2, dtype=torch.bool)
    others = math.exp(1) + math.exp(-1)
    expected = (-math.log(math.exp(2) / (math.exp(2) + others)) - math.log(1 / (1 + others))) / 2
    assert loss_of(positive_AP, both, negative_AQ, both).item() == pytest.approx(expected, rel=1e-6)
    only_first = torch.tensor([[True, False]])
    expected = -math.log(math.exp(2) / (math.exp(2) + math.exp(1)))
    assert loss_of(positive_AP, only_first, negative_AQ, only_first).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("missing", ["positives", "negatives", "both"])
def test_missing_candidates_give_a_finite_differentiable_zero(missing):
    logit_AP, logit_AQ = torch.randn(2, 3, requires_grad=True), torch.randn(2, 4, requires_grad=True)
    is_positive = torch.full((2, 3), missing == "negatives")
    is_negative = torch.full((2, 4), missing == "positives")
    loss_A = loss_of(logit_AP, is_positive, logit_AQ, is_negative)
    loss_A.sum().backward()
    assert loss_A.tolist() == [0, 0]
    assert logit_AP.grad.abs().sum() == logit_AQ.grad.abs().sum() == 0


def test_extreme_logits_stay_finite():
    logit = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss_A = loss_of(
        logit, torch.ones(1, 2, dtype=torch.bool), logit.detach().flip(1), torch.ones(1, 2, dtype=torch.bool)
    )
    loss_A.sum().backward()
    assert loss_A.isfinite().all()
    assert logit.grad.isfinite().all()


def draw_scene(seed: int, scopes: int) -> tuple[Anchors, Keys]:
    """Random anchors, keys of the mini-batch (some of them anchors too) and, without scopes, a bank."""
    generator = torch.Generator().manual_seed(seed)
    classes, pixels, anchors = 3, 12, 9

    def unit(*shape: int) -> torch.Tensor:
        return F.normalize(torch.randn(*shape, generator=generator), dim=-1)

    label_P = torch.randint(0, classes + 1, (scopes * pixels,), generator=generator)
    slots = batch_slots(label_P, classes, 4 + seed % 9, scopes=scopes, generator=generator)
    position_A = torch.randint(0, len(label_P), (anchors,), generator=generator)
    made = Anchors(
        embedding_AD=unit(anchors, 5).requires_grad_(),
        class_A=label_P[position_A].clamp(max=classes - 1),
        position_A=position_A,
        scope_A=position_A // pixels,
        valid_A=(torch.rand(anchors, generator=generator) < 0.7) & (label_P[position_A] < classes),
    )
    bank = tuple(
        KeyBlock(unit(classes, rows, 5), torch.rand(classes, rows, generator=generator) < 0.7) for rows in (6, 3)
    )
    batch = BatchKeys(unit(len(slots.position_N), 5).requires_grad_(), slots)
    return made, Keys(batch=batch, bank=bank if scopes == 1 else ())


def listed(keys: Keys) -> list[tuple[int, int, int, torch.Tensor]]:
    """Scope, class, pixel (-1 in the bank) and embedding of every key."""
    slots, rows = keys.batch.slots, []
    for s in range(keys.scopes):
        for c in range(3):
            first = s * slots.rows + int(slots.first_SC[s, c])
            numbers = range(first, first + int(slots.count_SC[s, c]))
            rows += [(s, c, int(slots.position_N[number]), keys.batch.embedding_ND[number]) for number in numbers]
    for block in keys.bank:
        rows += [(0, int(c), -1, block.embedding_CKD[c, k]) for c, k in block.valid_CK.nonzero()]
    return rows


def oracle(anchors: Anchors, keys: Keys, mining: MiningConfig, temperature: float) -> torch.Tensor:
    """Equation 3 with loops over anchors, candidates and positives; `hardest` mining by sorting."""
    losses = []
    for a in range(len(anchors.class_A)):
        positives, negatives = [], []
        for scope, c, position, embedding_D in listed(keys):
            similarity = (anchors.embedding_AD[a] * embedding_D).sum()
            if scope != anchors.scope_A[a] or position == anchors.position_A[a]:
                continue
            (positives if c == anchors.class_A[a] else negatives).append(similarity)
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


def compared(anchors: Anchors, keys: Keys, mining: MiningConfig, temperature: float = 0.1) -> tuple[torch.Tensor, ...]:
    """Loss and its gradients by anchors and keys of the mini-batch."""
    mined = mined_info_nce(anchors, keys, mining, temperature, torch.Generator().manual_seed(0))
    leaves = (anchors.embedding_AD, keys.batch.embedding_ND)
    return (mined.loss.detach(), *torch.autograd.grad(mined.loss, leaves))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 9999),
    st.sampled_from([1, 3]),
    st.integers(1, 16),
    st.integers(1, 45),
    st.sampled_from([0.1, 1]),
    st.sampled_from([0.0, 1.0]),
)
def test_loss_and_gradient_equal_the_triple_loop(seed, scopes, positives, negatives, temperature, sparse_share):
    anchors, keys = draw_scene(seed, scopes)
    mining = MiningConfig(kind="hardest", positives=positives, negatives=negatives)
    expected = oracle(anchors, keys, mining, temperature)
    leaves = (anchors.embedding_AD, keys.batch.embedding_ND)
    expected_grads = torch.autograd.grad(expected, leaves, allow_unused=True, materialize_grads=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity_module, "SPARSE_SHARE", sparse_share)
        actual = compared(anchors, keys, mining, temperature)
    torch.testing.assert_close(actual, (expected.detach(), *expected_grads), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sparse_share", [0.0, 1.0])
@pytest.mark.parametrize("mining", ["random", "semi_hard"])
def test_a_draw_of_everything_is_everything(monkeypatch, sparse_share, mining):
    """The miners that draw meet the same candidates as `hardest` where they may take all."""
    monkeypatch.setattr(similarity_module, "SPARSE_SHARE", sparse_share)
    anchors, keys = draw_scene(3, 1)
    every = compared(anchors, keys, MiningConfig(kind="hardest"))
    assert keys.count_valid().max() <= 12
    for positives in (12, 99):  # chosen one by one, or all 13 candidates as they stand; negatives one by one
        part = MiningConfig(kind=mining, positives=positives, negatives=38, hard_fraction=1)
        torch.testing.assert_close(compared(anchors, keys, part), every)


@pytest.mark.parametrize("scopes", [1, 3])
@pytest.mark.parametrize("negatives", [5, 2048])
def test_small_blocks_and_tiles_give_the_same(monkeypatch, scopes, negatives):
    anchors, keys = draw_scene(7, scopes)
    monkeypatch.setattr(block_size, "BLOCK_ANCHORS", 1)
    candidates = len(keys.batch.embedding_ND) + sum(block.valid_CK.numel() for block in keys.bank)
    results = []
    for similarities, tile in ((2**22, 2**22), (2 * candidates, 7), (1, 1)):
        monkeypatch.setitem(block_size.BLOCK_SIMILARITIES, "cpu", similarities)
        monkeypatch.setattr(block_size, "TILE_SIMILARITIES", {"cpu": tile})
        results.append(compared(anchors, keys, MiningConfig(kind="hardest", negatives=negatives)))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


@pytest.mark.parametrize(
    ("device", "candidates", "expected"),
    [
        ("cpu", 209_330, 110),  # CamVid with the paper's numbers: 550 anchors in 5 blocks
        ("cuda", 209_330, 275),  # in 2 blocks, of 230 MB each
        ("cuda", 15_000, 550),
        ("cuda", 900_000, 110),
    ],
)
def test_a_gpu_takes_larger_blocks(device, candidates, expected):
    """It is sent as many operators for a small block as for a large one."""
    assert block_size.anchors_at_a_time(550, candidates, device) == expected


def test_temperature_does_not_scale_the_loss():
    """With similarities all alike the loss is log(1 + negatives) at every temperature."""
    slots = batch_slots(torch.arange(8) % 2, 2, 4, scopes=1, generator=torch.Generator())
    keys = Keys(batch=BatchKeys(torch.ones(8, 1), slots))
    zero = torch.zeros(1, dtype=torch.int64)
    anchors = Anchors(torch.ones(1, 1), class_A=zero, position_A=zero, scope_A=zero, valid_A=zero == 0)
    for temperature in (0.05, 0.1, 1.0):
        mined = mined_info_nce(anchors, keys, MiningConfig(kind="random"), temperature, torch.Generator())
        assert mined.loss.item() == pytest.approx(math.log(5), rel=1e-4)
        assert (mined.positives, mined.negatives, mined.anchors) == (3, 4, 1)
        assert mined.positive_similarity.item() == pytest.approx(1)
        assert mined.negative_similarity.item() == pytest.approx(1)
