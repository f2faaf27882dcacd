"""What is being started is said once each, and never too long."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import pytest

from orchestrator.running.executors.preparation import Preparation, imports_of
from orchestrator.running.executors.supervisor import Supervisor
from orchestrator.running.fork_server.starting import has_imported, note_imported, server_of_this_process
from orchestrator.testing.executor import RecordingController, make_tasks, quick_work
from tests.orchestrator.running.executors.test_supervisor import InChild
from tests.orchestrator.running.fork_server.test_fork_server import wait_for


def test_each_change_is_said_once() -> None:
    said: list[str] = []
    imports = ["importing torch", "importing torch", "", "importing torch"]
    preparation = Preparation(said.append, "starting Ray", lambda: imports.pop(0))
    preparation.begin()
    for _ in range(5):
        preparation.look()
    preparation.end()
    assert said == ["starting Ray", "importing torch", ""]
    assert imports == ["importing torch"], "not asked again after the end"


def test_a_report_ends_it_whatever_the_imports_say() -> None:
    said: list[str] = []
    preparation = Preparation(said.append, "starting Ray", lambda: "importing torch")
    preparation.begin()
    preparation.look()
    preparation.end()
    preparation.look()
    assert said == ["starting Ray", "importing torch", ""]


@pytest.mark.parametrize(
    ("modules", "text"),
    [
        (("torch.utils", "torchvision", "trainer.workload.before_fork"), "importing torch (once per node)"),
        (("numpy", "scipy.stats", "scipy.linalg"), "importing numpy, scipy (once per node)"),
        ((), ""),
    ],
)
def test_the_slowest_of_what_is_imported_is_named(tmp_path: Path, modules: tuple[str, ...], text: str) -> None:
    path = str(tmp_path / "fork.sock")
    assert imports_of(path, modules) == text
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        note_imported(listener)
    assert imports_of(path, modules) == ""


def test_a_fork_server_lets_know_when_it_has_imported(tmp_path: Path) -> None:
    with server_of_this_process(tmp_path, ("json.tool",), {}) as path:
        wait_for(lambda: has_imported(path))
    assert not has_imported(path), "it has left nothing"


def test_a_supervisor_says_what_it_starts(tmp_path: Path) -> None:
    said: list[str] = []
    reads: Callable[[], str] = iter(["importing torch", "importing torch", ""]).__next__
    make: Callable[[], InChild] = lambda: InChild(quick_work())  # noqa: E731 - pickled
    preparation = Preparation(said.append, "starting Ray", reads)
    supervisor = Supervisor(cloudpickle.dumps(make), preparation=preparation)
    try:
        assert said == ["starting Ray"]
        supervisor.run(RecordingController(make_tasks(2, tmp_path)))
    finally:
        supervisor.shutdown()
    assert said == ["starting Ray", "importing torch", ""]
