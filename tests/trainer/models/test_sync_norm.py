"""Norms over two ranks equal those of one process with the whole batch, with the same names."""

from __future__ import annotations

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from trainer.errors import TrainerError
from trainer.models.sync_norm import SyncNorm2d, SyncNormAct2d, synchronise_norms
from trainer.testing.two_ranks import NORMS

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", NORMS)
def test_two_ranks_normalise_the_whole_batch(two_ranks, one_rank, kind, dtype):
    """Forward, backward and running statistics, in float32 to 2e-4 of the largest value.

    One channel has mean 30 and deviation 0.01: its float32 values are good to 2e-6, so their deviations to 2e-4.
    """
    expected = one_rank[f"norm/{kind}/{dtype}"]
    assert expected["output"].dtype == getattr(torch, dtype)
    for facts in two_ranks:
        found = facts[f"norm/{kind}/{dtype}"]
        assert found["names"] == expected["names"]
        assert found["running"].keys() == expected["running"].keys()
        for name in ("output", "gradient", "evaluated"):
            assert found[name].dtype == expected[name].dtype
        for name in ("output", "gradient", "evaluated", "weights", "running"):
            for value, right in zip(tensors(found[name]), tensors(expected[name]), strict=True):
                torch.testing.assert_close(value, right, rtol=0, atol=float(2e-4 * right.abs().max()))


def tensors(values):
    return [values] if isinstance(values, torch.Tensor) else values.values() if isinstance(values, dict) else values


def test_all_norms_of_a_network_become_synchronised_and_nothing_else_changes():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(BatchNormAct2d(4), nn.LayerNorm(4)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parameters = list(network.parameters())
    synchronise_norms(network, CPU)
    assert [type(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)] == [
        SyncNorm2d,
        SyncNormAct2d,
    ]
    assert list(before) == list(network.state_dict())
    assert all(one is other for one, other in zip(parameters, network.parameters(), strict=True))


def test_an_unknown_norm_is_refused():
    with pytest.raises(TrainerError, match=r"model: 0 is a BatchNorm1d, which .* cannot synchronise on a CPU"):
        synchronise_norms(nn.Sequential(nn.BatchNorm1d(2)), CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_norms_become_those_of_torch_under_the_same_names():
    network = nn.Sequential(nn.BatchNorm2d(4), nn.Sequential(BatchNormAct2d(4))).cuda()
    plain = nn.Sequential(nn.BatchNorm2d(4), nn.Sequential(BatchNormAct2d(4))).cuda()
    names = list(network.state_dict())
    synchronise_norms(network, torch.device("cuda"))
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in network.modules()) == 2
    assert list(network.state_dict()) == names
    image = torch.randn(2, 4, 3, 5, device="cuda")
    torch.testing.assert_close(network(image), plain(image))  # one process: nothing to synchronise with
    torch.testing.assert_close(network.eval()(image), plain.eval()(image))
