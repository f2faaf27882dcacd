"""The share of a GPU's memory: it is waited for, limits the process, and is given back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.running.classify import classify
from orchestrator.running.gpu_packing import HEADROOM, packed_share
from orchestrator.store.attempt_record import State
from tests.fake_gpus import CONTEXT, GB, FakeGpus
from trainer.config import Runtime
from trainer.errors import DeviceBusyError
from trainer.gpu_memory import limited_memory, memory_fraction, release_memory, wait_for_memory

CUDA = torch.device("cuda", 0)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return FakeGpus(names=("0", "1")).install(monkeypatch)


def test_free_memory_is_not_waited_for() -> None:
    wait_for_memory(lambda: (23 * GB, 100 * GB), 0.25, sleep=lambda seconds: pytest.fail("the memory is free"))


def test_memory_that_another_process_gives_back_in_time_is_waited_for(gpus: FakeGpus) -> None:
    gpus.elsewhere("killed", 70 * GB)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            gpus.end("killed")

    wait_for_memory(lambda: gpus.mem_get_info(0), 0.25, sleep=sleep)
    assert len(slept) == 2


def test_memory_that_stays_in_use_is_an_error_that_counts_as_lost() -> None:
    slept: list[float] = []
    with pytest.raises(
        DeviceBusyError, match=r"the GPU has 10\.0 of 100\.0 GB free, but this trial needs 0\.5 of it"
    ) as caught:
        wait_for_memory(lambda: (10 * GB, 100 * GB), 0.5, wait_seconds=60.0, sleep=slept.append)
    assert sum(slept) == 60.0
    assert classify(caught.value) is State.LOST


@pytest.mark.parametrize(("device", "share"), [(torch.device("cpu"), 0.5), (torch.device("cpu"), None), (CUDA, None)])
def test_without_a_gpu_or_a_share_nothing_is_opened(gpus: FakeGpus, device: torch.device, share: float | None) -> None:
    with limited_memory(device, share):
        release_memory()
    assert not gpus.opened


def test_what_an_earlier_trial_of_the_process_left_is_free(gpus: FakeGpus) -> None:
    """A process that is used again has a cache that CUDA reports as in use, and cycles that hold tensors."""
    first, cycle = gpus.allocate(50 * GB, 0), [gpus.allocate(25 * GB, 0)]
    cycle.append(cycle)  # type: ignore[arg-type]
    del first, cycle
    assert gpus.mem_get_info(0)[0] < 10 * GB
    with limited_memory(CUDA, 1.0):
        assert gpus.mem_get_info(0)[0] == 80 * GB - CONTEXT


def test_the_limit_is_that_of_the_device_of_the_trial_and_ends_with_it(gpus: FakeGpus) -> None:
    with limited_memory(torch.device("cuda", 1), 0.25):
        assert gpus.mine(0).fraction == 1.0
        held = gpus.allocate(19 * GB, 1)
        with pytest.raises(torch.OutOfMemoryError):
            gpus.allocate(GB, 1)
    del held
    assert gpus.mine(1).fraction == 1.0
    gpus.allocate(79 * GB, 1)


def test_a_trial_beyond_its_share_fails_itself_and_not_those_beside_it(gpus: FakeGpus) -> None:
    """Each of four processes takes all that its limit allows, and every context fits as well."""
    taken = []
    for name in ("first", "second", "third", "fourth"):
        gpus.here = name
        with limited_memory(CUDA, 0.25):
            size = 0
            while True:
                try:
                    taken.append(gpus.allocate(GB // 10, 0))
                except torch.OutOfMemoryError:
                    break
                size += GB // 10
        assert size > 18 * GB
    assert gpus.free("0") > 0


def test_an_error_that_ends_cuda_is_reported_and_not_the_ones_after_it(gpus: FakeGpus) -> None:
    def fail() -> None:
        with limited_memory(CUDA, 0.5):
            gpus.broken = True
            raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        fail()
    release_memory()


@given(total=st.integers(4 * GB, 200 * GB), peak=st.floats(0.01, 300), context=st.floats(0, 0.9))
def test_what_a_probe_measured_fits_into_the_limit_and_k_trials_into_the_gpu(
    total: int, peak: float, context: float
) -> None:
    """`peak` GB in all, of which a part is the context, which torch's limit does not count."""
    share = packed_share(peak, total / 1e9)
    count = round(1 / share)
    assert share == pytest.approx(1 / count)
    assert 1 <= count <= 16
    if count > 1:
        assert count * HEADROOM * peak <= total / 1e9 * (1 + 1e-9)
        assert (1 - context) * peak * 1e9 <= memory_fraction(share, total) * total * (1 + 1e-9)
    if count < 16:
        assert (count + 1) * HEADROOM * peak > total / 1e9, "one more would not fit"
    assert memory_fraction(share, total) <= share


@given(total=st.integers(8 * GB, 200 * GB), count=st.integers(2, 16))
def test_the_limits_of_k_processes_leave_room_for_their_contexts(total: int, count: int) -> None:
    kept = total - count * memory_fraction(1 / count, total) * total
    assert kept == pytest.approx(count * min(0.6e9, total / count / 11))


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_is_a_part_of_one_gpu(share: float) -> None:
    with pytest.raises(ValueError, match=r"runtime\.gpu_share: must be above 0 and at most 1"):
        Runtime(gpu_share=share)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_gpu_refuses_what_is_beyond_the_share() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    total = torch.cuda.mem_get_info(device)[1]
    with limited_memory(device, 0.1):
        held = torch.empty(int(0.08 * total), dtype=torch.uint8, device=device)
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(int(0.05 * total), dtype=torch.uint8, device=device)
    assert classify(caught.value) is State.OUT_OF_MEMORY
    more = torch.empty(int(0.05 * total), dtype=torch.uint8, device=device)
    del held, more
    release_memory()
    assert torch.cuda.memory_reserved(device) < 0.01 * total
