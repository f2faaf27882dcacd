"""The in-process executor."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.running.executors.base import ExecutorLostError
from orchestrator.running.executors.serial import Serial
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.testing.executor import ExecutorContract, RecordingController, Run, make_tasks


def test_after_an_error_that_ends_cuda_the_sweep_ends_and_can_be_resumed(tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        error = ErrorRecord(kind="AcceleratorError", message="CUDA error: an illegal memory access was encountered")
        return AttemptRecord(
            trial_id=task.trial_id, attempt=1, state=State.USER_ERROR, started_at=0, ended_at=1, error=error
        )

    controller = RecordingController(make_tasks(3, tmp_path))
    with pytest.raises(ExecutorLostError, match="cannot use the GPU any more; the same command resumes the sweep"):
        Serial(work).run(controller)
    assert list(controller.records()) == ["trial0"]
    assert not controller.running


class TestSerial(ExecutorContract):
    @pytest.fixture
    def run(self) -> Run:
        return lambda controller, work: Serial(work).run(controller)
