"""What the built-in trainer has imported before the fork: everything that takes time, and nothing that forbids one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import cloudpickle
import pytest
import torch

from orchestrator.machine.own_folder import temporary_folder
from orchestrator.running.fork_server import preload
from orchestrator.running.fork_server.remote_trial import RemoteTrial
from orchestrator.running.fork_server.request import RECORD, TrialRequest
from orchestrator.running.fork_server.starting import connect, server_of_this_process
from orchestrator.running.task import Task
from orchestrator.running.worker import run_trial
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import make_tasks
from orchestrator.workload.loading import built_in, find, load
from tests.orchestrator.running.test_worker import TINY

MOST_IMPORTS = 3
"""Modules that a trial may import after the fork; importing PyTorch alone is above a thousand."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with (
        temporary_folder("test") as parent,
        server_of_this_process(parent, built_in().extras.preload, {"OMP_NUM_THREADS": "1"}) as path,
    ):
        yield path


def record_of(path: str, task: Task, work: Callable[..., AttemptRecord]) -> AttemptRecord:
    """What `work` returns in a process of the server."""
    request = TrialRequest(
        work=cloudpickle.dumps(work), task=pickle.dumps(task), environment=dict(os.environ), folder=str(Path.cwd())
    )
    with RemoteTrial(connect(path), request) as trial:
        messages = list(trial.messages())
    assert messages, trial.reason
    return AttemptRecord.from_json(messages[-1][RECORD])


def tiny_task(folder: Path) -> Task:
    return replace(make_tasks(1, folder)[0], config=TINY, run_dir=str(folder / "runs"), workdir=folder / "work")


def counting(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
    """Train, and record which modules that has imported, and whether a GPU was open before."""
    open_before = preload.open_files()
    before = set(sys.modules)
    cuda = str(sys.modules["torch"].cuda.is_initialized())
    record = run_trial(task, report)
    new = sorted(name for name in sys.modules if name not in before)
    devices = [name for name in open_before if name.startswith(preload.DEVICES)]
    hashed = str(sys.modules["trainer.code_digest"].present_files.cache_info().misses)
    facts = {**record.environment, "hashed": hashed, "new": " ".join(new), "devices": " ".join(devices), "cuda": cuda}
    return replace(record, environment=facts)


def test_a_trial_imports_next_to_nothing_and_no_gpu_is_open_before_it(server: str, tmp_path: Path) -> None:
    record = record_of(server, tiny_task(tmp_path), counting)
    assert record.state is State.DONE, record.error
    facts = record.environment
    assert len(facts["new"].split()) <= MOST_IMPORTS, facts["new"]
    assert facts["hashed"] == "1", "the source files are read once, before the fork"
    assert (facts["devices"], facts["cuda"]) == ("", "False")


def test_a_forked_trial_has_the_figures_of_one_in_this_process(server: str, tmp_path: Path) -> None:
    forked = record_of(server, tiny_task(tmp_path / "forked"), run_trial)
    here = run_trial(tiny_task(tmp_path / "here"), lambda point: None)
    assert computed(forked) == computed(here)
    assert forked.files == here.files


def computed(record: AttemptRecord) -> dict[str, float]:
    """The metrics that do not measure the machine."""
    return {name: value for name, value in record.metrics.items() if not name.startswith(("cost/", "system/"))}


def test_known_packages_that_a_workload_imports_are_imported_before_the_fork(tmp_path: Path) -> None:
    source = """
        import json, numpy as np, PIL.Image
        from . import beside
        from dataclasses import dataclass
        from orchestrator.workload import Metric, Workload
        import jax
        def train():
            import torch
            from sklearn.datasets import load_digits
    """
    assert preload.known_imports([dedent(source), "import torch.nn"]) == (
        *("PIL.Image", "numpy", "sklearn.datasets", "torch", "torch.nn"),
    )
    assert preload.modules_of(built_in()) == built_in().extras.preload
    example = find("my_trainer.py", Path(__file__).parents[4] / "examples/own_trainer")
    assert "torch" in preload.modules_of(load(example))


def test_the_modules_of_the_trainer_allow_a_fork() -> None:
    code = (
        "from orchestrator.running.fork_server.preload import preload, why_unsafe\n"
        "from orchestrator.workload.loading import built_in\n"
        "preload(built_in().extras.preload)\n"
        "import sys\n"
        "assert 'torchvision' in sys.modules and 'timm' in sys.modules\n"
        "from trainer.code_digest import present_code\n"
        "assert present_code.cache_info().currsize, 'each trial would read all of the code again'\n"
        "print(why_unsafe())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_open_gpu_forbids_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preload.threading, "enumerate", lambda: [preload.threading.main_thread()])
    monkeypatch.setattr(preload, "open_files", lambda: ["/dev/null", "/dev/nvidiactl"])
    assert preload.why_unsafe() == "a module has opened /dev/nvidiactl"
    monkeypatch.setattr(preload, "open_files", lambda: ["/dev/null", "socket:[1]"])
    assert preload.why_unsafe() == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_each_trial_opens_the_gpu_for_itself(server: str, tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        import torch

        assert not torch.cuda.is_initialized()
        total = float(torch.ones(8, device="cuda").sum())
        record = AttemptRecord(trial_id="t", attempt=1, state=State.DONE, started_at=0, ended_at=0)
        return replace(record, metrics={"total": total})

    for _ in range(2):
        assert record_of(server, tiny_task(tmp_path), work).metrics == {"total": 8.0}
