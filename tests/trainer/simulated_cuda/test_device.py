"""The simulated device itself: what it refuses, what it allows, where it says the mistake is."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainer.testing.device_fault import DeviceFault
from trainer.testing.python_backward import backward as python_backward
from trainer.testing.simulated_cuda import DEVICE, simulated_cuda

WAITS = {
    "_local_scalar_dense: the result depends on values": (
        lambda row, number: row.sum().item(),
        lambda row, number: float(row.sum()),
        lambda row, number: 1 if (row > 0).any() else 0,
        lambda row, number: row[number[0] :],
        lambda row, number: row.tolist(),
        lambda row, number: F.one_hot(number),
        lambda row, number: torch.full((3,), number[0]),
    ),
    "equal: the result depends on values": (lambda row, number: torch.equal(row, row),),
    "nonzero: the size of the result": (lambda row, number: number.nonzero(), lambda row, number: torch.where(number)),
    "index: a mask as an index": (lambda row, number: row[row > 0],),
    "index_put_: a mask as an index": (lambda row, number: row.index_put_((row > 0,), row),),
    "masked_select: the size": (lambda row, number: row.masked_select(row > 0),),
    "_unique2: the size": (lambda row, number: number.unique(),),
    "bincount: the size": (lambda row, number: torch.bincount(number, minlength=3),),
    "repeat_interleave: the size": (lambda row, number: row.repeat_interleave(number),),
    "_to_copy: a copy to the CPU": (lambda row, number: row.cpu(), lambda row, number: row.to("cpu", torch.float64)),
    "copy_: a copy to the CPU": (lambda row, number: torch.empty(4).copy_(row),),
    "_to_copy: a copy to the device": (
        lambda row, number: torch.tensor([1.0, 2.0], device="cuda"),
        lambda row, number: torch.ones(4).to("cuda"),
        lambda row, number: row.new_tensor([1.0]),
        lambda row, number: row[[0, 1]],
    ),
    "copy_: a copy to the device": (lambda row, number: row.copy_(torch.ones(4)),),
    "__repr__: its values are shown": (
        lambda row, number: repr(row),
        lambda row, number: str(row.sum()),
        lambda row, number: "%s" % row,  # noqa: UP031
    ),
    "__format__: its values are shown": (lambda row, number: f"{row.sum()}", lambda row, number: f"{row}"),
    "numpy: its values are shown": (lambda row, number: row.numpy(),),
    "synchronize: the host waits": (lambda row, number: torch.cuda.synchronize(),),
    "several devices": (
        lambda row, number: row + torch.ones(4),
        lambda row, number: row[torch.zeros(2, dtype=torch.int64)],
        lambda row, number: row.index_select(0, torch.zeros(2, dtype=torch.int64)),
        lambda row, number: torch.cat([row, torch.ones(4)]),
    ),
    "a generator on cpu fills a tensor on cuda": (
        lambda row, number: torch.rand(3, generator=torch.Generator(), device="cuda"),
        lambda row, number: row.normal_(generator=torch.Generator("cpu")),
    ),
}

NUMBERS_ARE_FILLED_IN = pytest.mark.skipif(
    torch.__version__ < (2, 15), reason="before 2.15, torch shows the assignment of a number as a copy"
)

ALLOWED = (
    lambda row, number: row.to("cuda") + 1.5 * torch.tensor(2.0),
    lambda row, number: torch.ones(4).to("cuda", non_blocking=True) + row,
    lambda row, number: row.masked_fill(row > 0, 3.0),
    pytest.param(lambda row, number: row.__setitem__(row > 0, 3.0), marks=NUMBERS_ARE_FILLED_IN),
    pytest.param(lambda row, number: row.__setitem__(0, 3.0), marks=NUMBERS_ARE_FILLED_IN),
    lambda row, number: row[number.clamp(0, 3)].sum(),
    lambda row, number: row.repeat_interleave(number, output_size=9),
    lambda row, number: F.one_hot(number, 3),
    lambda row, number: torch.rand(3, generator=torch.Generator("cuda"), device="cuda"),
    lambda row, number: torch.ones(3).tolist(),
    lambda row, number: torch.ones(4)[torch.ones(4) > 0] if number is None else None,
)


@pytest.mark.parametrize(
    ("message", "action"), [(message, action) for message, actions in WAITS.items() for action in actions]
)
@pytest.mark.parametrize("inference", [False, True])
def test_it_refuses_what_waits_or_fails_and_names_file_and_line(message, action, inference):
    with simulated_cuda(), torch.inference_mode(inference):
        row, number = torch.rand(4, device="cuda"), torch.zeros(4, dtype=torch.int64, device="cuda")
        with pytest.raises(DeviceFault) as caught:
            action(row, number)
    assert message in str(caught.value)
    line = action.__code__.co_firstlineno
    assert str(caught.value).startswith(f"tests/trainer/simulated_cuda/test_device.py:{line}: ")


@pytest.mark.parametrize("action", ALLOWED)
def test_it_allows_the_rest(action):
    with simulated_cuda() as found:
        action(torch.rand(4, device="cuda"), torch.zeros(4, dtype=torch.int64, device="cuda"))
    assert found.waits == []


def test_where_the_host_may_wait_it_notes_the_place_and_makes_up_numbers():
    with simulated_cuda() as found:
        row = torch.rand(4, device="cuda")
        with found.may_wait():
            assert float(row.sum()) == 1.0
        with pytest.raises(DeviceFault):
            row.sum().item()
    assert [wait.rpartition("/")[2].partition(":")[0] for wait in found.waits] == ["test_device.py"]
    assert found.waits[0].endswith(": _local_scalar_dense")


def test_modules_move_train_and_are_copied():
    with simulated_cuda() as found:
        with found.may_wait():
            network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(DEVICE)
        copied = copy.deepcopy(network)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            output = network(torch.rand(2, 3, 8, 8, device=DEVICE))
        output.float().sum().backward()
        grads = [parameter.grad for parameter in network.parameters()]
        assert {(grad.device, grad.dtype) for grad in grads} == {(DEVICE, torch.float32)}
        assert {value.device for value in copied.state_dict().values()} == {DEVICE}
        assert copied[0].weight is not network[0].weight
    assert output.dtype == torch.bfloat16
    assert set().union(*found.product_dtypes.values()) == {torch.bfloat16}


def test_nothing_is_left_of_it():
    state = torch.get_rng_state()
    before = (torch.Generator, nn.Module._apply, torch.Tensor.backward, torch.cuda.is_available)
    with pytest.raises(DeviceFault), simulated_cuda():
        torch.manual_seed(3).initial_seed() and torch.rand((), device=DEVICE).item()
    assert (torch.Generator, nn.Module._apply, torch.Tensor.backward, torch.cuda.is_available) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.ones(2).sum().item() == 2


def test_its_backward_pass_gives_the_gradients_of_torch():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))
    image = torch.rand(2, 3, 6, 6)

    def gradients(backward):
        network.zero_grad()
        for _ in range(2):  # gradients add up
            hidden = network(image)
            left, right = (hidden + network[3](hidden)).chunk(2, dim=1)
            backward((left * right.sigmoid()).mean() + hidden.exp().mean())
        return [parameter.grad.clone() for parameter in network.parameters()]

    for found, expected in zip(gradients(python_backward), gradients(torch.Tensor.backward), strict=True):
        torch.testing.assert_close(found, expected)
