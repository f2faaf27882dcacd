"""The GPU memory of a worker: it is waited for, and limited to the trial's share."""

from __future__ import annotations

import pytest

from orchestrator.running import gpu_memory as device
from orchestrator.running.failures import classify
from orchestrator.running.gpu_memory import DeviceBusyError, reserve_memory, wait_for_memory
from orchestrator.store.records import State

GB = 10**9


def test_free_memory_is_not_waited_for() -> None:
    wait_for_memory(lambda: (23 * GB, 100 * GB), 0.25, sleep=lambda seconds: pytest.fail("the memory is free"))


def test_memory_that_is_freed_in_time_is_waited_for() -> None:
    free = iter([1, 1, 30])
    slept: list[float] = []
    wait_for_memory(lambda: (next(free) * GB, 100 * GB), 0.25, sleep=slept.append)
    assert len(slept) == 2


def test_memory_that_stays_in_use_is_an_error_that_counts_as_lost() -> None:
    slept: list[float] = []
    with pytest.raises(
        DeviceBusyError, match=r"the GPU has 10\.0 of 100\.0 GB free, but this trial needs 0\.5 of it"
    ) as caught:
        wait_for_memory(lambda: (10 * GB, 100 * GB), 0.5, wait_seconds=60.0, sleep=slept.append)
    assert sum(slept) == 60.0
    assert classify(caught.value) is State.LOST


@pytest.mark.parametrize("gpus", [0.0, 0.5])
def test_without_a_device_nothing_is_reserved(gpus: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(device, "wait_for_memory", lambda *arguments: pytest.fail("there is no device"))
    reserve_memory(gpus)


@pytest.mark.parametrize(("gpus", "cap"), [(0.25, 0.25), (1.0, 1.0), (4.0, 1.0)])
def test_a_share_is_waited_for_and_then_limits_the_process(
    gpus: float, cap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, float]] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(device, "wait_for_memory", lambda read, share: calls.append(("wait", share)))
    monkeypatch.setattr("torch.cuda.set_per_process_memory_fraction", lambda share: calls.append(("cap", share)))
    reserve_memory(gpus)
    assert calls == [("wait", cap), ("cap", cap)]
