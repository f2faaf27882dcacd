"""Trials of one worker, one after another, on GPUs that exist only in the test: each begins as in a new process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import trainer.probe
import trainer.run
from orchestrator.running import worker
from orchestrator.running.executors.serial import Serial
from orchestrator.running.task import Share, Task
from orchestrator.running.worker import run_trial
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import RecordingController
from tests.fake_gpus import CONTEXT, GB, Allocation, FakeGpus
from tests.orchestrator.running.test_worker import TINY
from trainer.config import ComputeConfig, Runtime
from trainer.data.loading.batches import TrainBatches
from trainer.training_state import TrainingState

Steps = Callable[[], object]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    """Two devices; trials train on them without a network."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return FakeGpus(names=("0", "1", "MIG-4f6", "GPU-e1a")).install(monkeypatch)


def task_with(folder: Path, gpus: float, **compute: Any) -> Task:
    runtime = Runtime(device="cuda" if gpus else "cpu", gpu_share=min(gpus, 1.0) or None)
    config = replace(TINY, compute=ComputeConfig(**compute))
    return Task(trial_id="t", attempt=1, config=config, runtime=runtime, workdir=folder / "t", share=Share(gpus=gpus))


def run_steps(task: Task, monkeypatch: pytest.MonkeyPatch, steps: Callable[[torch.device], object]) -> AttemptRecord:
    """Run a trial that does `steps` with its device, and has no network."""

    def start(config: object, source: object, device: torch.device, loader: object) -> Any:
        def figures() -> dict[str, float]:
            steps(device)
            return {"final/miou": 0.5}

        return SimpleNamespace(figures=figures, draw=lambda folder: (), reported=None, code="", loader="")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.run, "run_steps", lambda *arguments: None)
        patch.setattr(TrainingState, "start", start)
        return run_trial(task, lambda point: None)


def test_a_trial_without_a_gpu_opens_none_and_is_not_recorded_as_run_on_one(gpus: FakeGpus, tmp_path: Path) -> None:
    record = run_trial(task_with(tmp_path, 0.0), lambda point: None)
    assert record.state is State.DONE
    assert not gpus.opened
    assert "GPU" not in record.environment["device"]
    assert not any("gpu" in name for name in record.metrics)


@pytest.mark.parametrize("visible", ["1,0", "MIG-4f6", "GPU-e1a"])
def test_a_trial_uses_the_first_device_that_ray_shows_it(
    gpus: FakeGpus, visible: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    record = run_steps(task_with(tmp_path, 0.5), monkeypatch, lambda device: gpus.allocate(GB, device))
    assert (record.state, record.environment["device"]) == (State.DONE, "Fake GPU")
    assert {name for _, name in gpus.held} == {visible.split(",")[0]}


@pytest.mark.parametrize("ranks", [2, 3])
def test_each_rank_takes_its_own_device_and_its_part_of_a_shared_one(
    gpus: FakeGpus, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    used = [str(trainer.run.rank_device("cuda", rank)) for rank in range(ranks)]
    assert used == ["cuda:0", "cuda:1", "cuda:0"][:ranks]


def test_a_gpu_that_torch_does_not_see_is_an_error_and_no_slow_trial_on_the_cpu(
    gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    record = run_trial(task_with(tmp_path, 1.0), lambda point: None)
    assert record.state is State.USER_ERROR
    assert record.error is not None
    assert record.error.message == "runtime.device: 'cuda', but torch sees no CUDA device; use auto or cpu"


def out_of_memory(gpus: FakeGpus) -> Callable[[torch.device], object]:
    def steps(device: torch.device) -> None:
        held = [gpus.allocate(15 * GB, device)]
        held.append(held)  # type: ignore[arg-type] # as an autograd graph has cycles
        while True:
            held.append(gpus.allocate(GB, device))

    return steps


def test_after_a_trial_that_ran_out_of_memory_the_process_has_the_whole_share_again(
    gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_with(tmp_path, 0.25)
    for _ in range(2):
        record = run_steps(task, monkeypatch, out_of_memory(gpus))
        assert record.state is State.OUT_OF_MEMORY
    assert run_steps(task, monkeypatch, lambda device: gpus.allocate(18 * GB, device)).state is State.DONE
    larger = task_with(tmp_path, 1.0)
    assert run_steps(larger, monkeypatch, lambda device: gpus.allocate(79 * GB, device)).state is State.DONE


def test_two_trials_in_a_row_of_the_serial_executor_have_the_whole_gpu_each(
    gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        return run_steps(task, monkeypatch, lambda device: gpus.allocate(70 * GB, device))

    tasks = [replace(task_with(tmp_path, 1.0), trial_id=name) for name in ("first", "second")]
    controller = RecordingController(tasks)
    began = time.monotonic()
    Serial(work, gpus=1.0).run(controller)
    assert {record.state for record in controller.records().values()} == {State.DONE}
    assert time.monotonic() - began < 30, "a trial that takes the cache for a stranger's waits for a minute"


def test_a_smaller_trial_after_a_larger_one_has_the_smaller_limit(
    gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks: list[float] = []

    def steps(device: torch.device) -> None:
        gpus.reset_peak_memory_stats(device)  # as TrainingState.start
        held: list[Allocation] = [gpus.allocate(10 * GB, device)]
        peaks.append(worker.memory_in_use()["system/gpu_memory_gb"])
        held.clear()

    first = run_steps(task_with(tmp_path, 1.0), monkeypatch, lambda device: gpus.allocate(70 * GB, device))
    second = run_steps(task_with(tmp_path, 0.25), monkeypatch, steps)
    third = run_steps(task_with(tmp_path, 0.125), monkeypatch, steps)
    assert [record.state for record in (first, second, third)] == [State.DONE, State.DONE, State.OUT_OF_MEMORY]
    assert peaks == [10.0], "not the 70 of the trial before"


def test_global_settings_of_torch_are_those_of_before(
    gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings() -> tuple[object, ...]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.get_float32_matmul_precision(),
            torch.get_default_dtype(),
            torch.initial_seed(),
        )

    before = settings()
    inside: list[tuple[object, ...]] = []

    def steps(device: torch.device) -> None:
        torch.manual_seed(3)
        inside.append(settings())
        raise RuntimeError("a bug")

    assert run_steps(task_with(tmp_path, 0.5, deterministic=True), monkeypatch, steps).state is State.USER_ERROR
    assert inside[0] != before
    assert settings() == before


def test_a_probe_that_ends_cuda_fails_as_a_whole_so_that_each_shape_is_measured_apart(
    gpus: FakeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def probe(config: object, runtime: Runtime) -> dict[str, float]:
        seen.append(len(seen))
        if len(seen) == 2:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return {"probe/peak_memory_gb": 1.0}

    monkeypatch.setattr(trainer.probe, "probe", probe)
    task = replace(task_with(tmp_path, 1.0), probe=(TINY, TINY, TINY))
    record = run_trial(task, lambda point: None)
    assert (record.state, record.metrics, seen) == (State.USER_ERROR, {}, [0, 1])


def test_the_peak_of_a_probe_is_its_own_with_its_context(gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier probe of the process held does not count, in use or in the cache."""
    left = [gpus.allocate(30 * GB, 0)]
    left.append(left)  # type: ignore[arg-type]
    del left
    held: list[Allocation] = []

    def start(config: object, source: object, device: torch.device, loader: object) -> Any:
        held.append(gpus.allocate(4 * GB, device))
        return SimpleNamespace(
            model=SimpleNamespace(train=lambda: None),
            contrast=None,
            optimizer=None,
            device=device,
            scaler=None,
            finish_step=lambda step: None,
            training_point=lambda measured: held.append(gpus.allocate(GB, device)),
            score=lambda *arguments, batches: gpus.allocate(2 * GB, device),
        )

    class Step:
        def __init__(self, *arguments: object) -> None:
            pass

        def __call__(self, batch: object, step: int) -> dict[str, torch.Tensor]:
            gpus.allocate(6 * GB, "cuda:0")
            return {}

    monkeypatch.setattr(TrainingState, "start", start)
    monkeypatch.setattr(trainer.probe, "TrainStep", Step)
    monkeypatch.setattr(TrainBatches, "iterate", lambda batches, first, count: (number for number in range(count)))
    found = trainer.probe.probe(TINY, Runtime(device="cuda", gpu_share=1.0))
    assert found["probe/peak_memory_gb"] == pytest.approx(4 + 6 + CONTEXT / GB)
    assert found["probe/device_memory_gb"] == 80.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_trial_beyond_its_share_is_out_of_memory_and_the_next_one_trains(tmp_path: Path) -> None:
    small = task_with(tmp_path / "small", 0.02)
    synthetic = replace(TINY.data.synthetic, height=256, width=512)
    data = replace(TINY.data, crop=(256, 512), synthetic=synthetic)
    config = replace(TINY, data=data, schedule=replace(TINY.schedule, batch_size=256))
    large = replace(small, config=config, workdir=tmp_path / "large")
    assert run_trial(large, lambda point: None).state is State.OUT_OF_MEMORY
    assert torch.cuda.memory_reserved() < 0.1 * GB, "given back"
    assert run_trial(small, lambda point: None).state is State.DONE
