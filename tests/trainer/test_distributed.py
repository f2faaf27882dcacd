"""Communication of ranks; two ranks with half a batch each compute what one process does, up to rounding."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import trainer.distributed
from trainer.config import ContrastConfig, MemoryConfig
from trainer.contrast import PixelContrast
from trainer.distributed import (
    data_parallel,
    gather_images,
    is_distributed,
    own_images,
    rank,
    rank_device,
    rows_of_all_ranks,
    sum_over_ranks,
    world_size,
)
from trainer.errors import TrainerError
from trainer.testing.two_ranks import ROWS, state_hash

CPU = torch.device("cpu")


def test_ranks_gather_in_order_and_sum(two_ranks, one_rank):
    for number, facts in enumerate(two_ranks):
        assert facts["group"]["who"] == (True, number, 2)
        assert facts["group"]["gathered"] == one_rank["group"]["gathered"]
        assert facts["group"]["sum"] == one_rank["group"]["sum"] == 66
        assert not facts["group"]["requires_grad"]


@pytest.mark.parametrize("row", ROWS)
def test_defect_7_every_rank_holds_the_bank_of_the_whole_batch(two_ranks, one_rank, row):
    """The ranks hold equal bits; one process rounds its products differently, because their shapes differ."""
    first, second = (facts[f"contrast/{row}"] for facts in two_ranks)
    assert first["bank_hash"] == second["bank_hash"]
    relative = 1e-2 if row == "bfloat16" else 1e-5
    torch.testing.assert_close(first["bank"], one_rank[f"contrast/{row}"]["bank"], rtol=relative, atol=1e-6)


@pytest.mark.parametrize("row", ROWS)
def test_the_contrast_of_two_ranks_is_that_of_the_whole_batch(two_ranks, one_rank, row):
    """Up to rounding: matrix products of other shapes, in another process, may sum in another order."""
    expected = one_rank[f"contrast/{row}"]
    assert expected["gradient"].abs().max() > 0
    for facts in two_ranks:
        found = facts[f"contrast/{row}"]
        for name in ("contrast/anchors", "contrast/positives", "contrast/negatives"):  # of the global batch
            assert found["stats"][name] == expected["stats"][name]
        for part in ("loss", "stats", "gradient"):
            torch.testing.assert_close(found[part], expected[part], rtol=1e-5, atol=1e-6)


def test_a_step_of_two_ranks_in_micro_batches_is_that_of_one_process(two_ranks, one_rank):
    # micro-batches, unequal shares of the labelled pixels, class weights, clipping, and a head without a gradient
    expected = one_rank["step"]
    for facts in two_ranks:
        found = facts["step"]
        torch.testing.assert_close(found["measured"], expected["measured"], rtol=1e-5, atol=0)
        torch.testing.assert_close(found["after"], expected["after"], rtol=1e-4, atol=1e-5)
    moved = [name for name, value in expected["after"].items() if not torch.equal(value, expected["before"][name])]
    assert any(name.startswith("backbone") for name in moved)


def test_what_the_loss_does_not_reach_is_left_alone(two_ranks):
    # a gradient of zero would let it decay (weight decay 0.1), which one process does not
    first = two_ranks[0]["step"]
    idle = [name for name in first["before"] if name.startswith(("projection", "head.aux")) and "running" not in name]
    still = [name for name in idle if torch.equal(first["before"][name], first["after"][name])]
    assert sorted(set(idle) - set(still)) == [
        "head.aux.0.1.num_batches_tracked",
        "projection.hidden.1.num_batches_tracked",
    ]


@pytest.mark.parametrize("name", ["step", "step/shuffled"])
def test_ranks_hold_the_same_weights_and_bank_after_a_step_with_contrast(two_ranks, name):
    first, second = (facts[name] for facts in two_ranks)
    assert first["later"]["train/contrast"] > 0
    assert {name: float(value) for name, value in first["later"].items()} == {
        name: float(value) for name, value in second["later"].items()
    }
    assert first["state"] == second["state"]


def test_without_a_process_group_nothing_happens():
    value = torch.ones(2, 3, requires_grad=True)
    network = torch.nn.Linear(3, 2)
    assert gather_images(value) is value
    assert sum_over_ranks(value) is value
    assert rows_of_all_ranks(value, torch.tensor([0, 5]), 1) is value
    assert torch.equal(own_images(value), value)
    assert data_parallel(network, CPU) is network
    assert (is_distributed(), rank(), world_size()) == (False, 0, 1)


@pytest.mark.parametrize(("devices", "expected"), [(4, [0, 1, 2, 3]), (2, [0, 1, 0, 1]), (1, [0, 0, 0, 0])])
def test_each_rank_has_a_device_of_its_own_or_shares(monkeypatch, devices, expected):
    cuda = SimpleNamespace(is_available=lambda: True, current_device=lambda: 0, device_count=lambda: devices)
    monkeypatch.setattr(trainer.distributed.torch, "cuda", cuda)
    for name in ("auto", "cuda"):
        assert [rank_device(name, number) for number in range(4)] == [torch.device("cuda", i) for i in expected]
    assert rank_device("cpu", 1) == CPU


def test_a_missing_device_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert rank_device("auto", 3) == CPU
    with pytest.raises(TrainerError, match="torch sees no CUDA device; use auto or cpu"):
        rank_device("cuda", 1)


def test_a_hash_sees_every_bit():
    memory = MemoryConfig(pixels_per_class=30, regions_per_class=6, pixels_per_image=3)
    contrast = PixelContrast(ContrastConfig(embedding_dim=8, memory=memory), 5)
    before = state_hash(contrast)
    contrast.bank.contents()[0].embedding_CKD[0, 0, 0] = 1e-30
    assert state_hash(contrast) != before
    norm = torch.nn.BatchNorm2d(2)
    before = state_hash(norm)
    norm.num_batches_tracked += 1  # a number without dimensions
    assert state_hash(norm) != before
