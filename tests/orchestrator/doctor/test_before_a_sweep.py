"""What a sweep checks before it starts: it refuses where no trial can run, and warns elsewhere."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator import api, sweep
from orchestrator.commands.command_line import DONE, WRONG
from orchestrator.doctor import machine
from orchestrator.doctor.before_a_sweep import check_before_sweep
from orchestrator.doctor.checks import CHECKS, OF_A_PRIVATE_CLUSTER, OF_A_SWEEP
from orchestrator.doctor.finding import Question
from orchestrator.errors import SweepError
from orchestrator.opening import question_of
from orchestrator.run_options import RunOptions
from orchestrator.spec.blocks import Resources
from orchestrator.workload.loading import built_in
from tests.orchestrator.doctor import test_checks as broken
from trainer.workload.machine_checks import WEIGHTS

folder = broken.folder

FATAL = (
    broken.temporary_folder,
    broken.read_only_temporary_folder,
    broken.prepared_temporary_folder,
    broken.run_directory,
    broken.free_space,
    broken.inodes,
    broken.ray,
    broken.sockets,
)
WARNED = (broken.memory, broken.shared_memory, broken.limits)


def test_every_check_of_a_sweep_has_a_broken_environment_here() -> None:
    needed = {*OF_A_SWEEP, *OF_A_PRIVATE_CLUSTER}
    assert needed <= set(CHECKS)
    assert {item for name in needed for item in broken.BROKEN[name]} == {*FATAL, *WARNED}


@pytest.mark.parametrize("environment", FATAL, ids=lambda item: item.__name__)
def test_a_sweep_that_cannot_work_is_refused_in_one_line_until_the_remedy(
    environment: object, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    steps = environment(monkeypatch, folder)  # type: ignore[operator]
    question, expected = next(steps)
    with pytest.raises(SweepError, match=expected.removeprefix("^")) as raised:
        check_before_sweep(question)
    assert "\n" not in str(raised.value)
    if next(steps, None) is None and environment not in (broken.run_directory, broken.free_space):
        check_before_sweep(question)


@pytest.mark.parametrize("environment", WARNED, ids=lambda item: item.__name__)
def test_a_sweep_that_may_work_starts_with_one_line(
    environment: object, monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps = environment(monkeypatch, folder)  # type: ignore[operator]
    question, expected = next(steps)
    with caplog.at_level(logging.WARNING):
        check_before_sweep(question)
    (line,) = [text for text in caplog.messages if not text.startswith("free space: ")]
    assert re.search(f": {expected.removeprefix('^')}", line), line


def test_what_only_a_private_cluster_needs_does_not_concern_others(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    steps = broken.ray(monkeypatch, folder)
    next(steps)
    check_before_sweep(Question(executor="serial"))
    check_before_sweep(Question(address="10.0.0.1:6379"))


def test_memory_and_space_are_those_of_the_trials_in_flight(
    monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    options = RunOptions(max_concurrent=10)
    question = question_of(options, Resources(cpus=1), 12, built_in())
    assert question.trials_at_a_time == 10
    assert question_of(options, Resources(cpus=4), 12, built_in()).trials_at_a_time == 4
    assert question_of(RunOptions(executor="serial"), Resources(cpus=1), 12, built_in()).trials_at_a_time == 1
    group = broken.control_group(monkeypatch, folder)
    (group / "memory.max").write_text("4000000000\n")
    (group / "memory.current").write_text("0\n")
    machine.check_memory(Question())
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=10**6, f_frsize=5000, f_files=0, f_favail=0))
    check_before_sweep(question)
    assert "memory: 4.0 GB available for 10 trials at a time" in caplog.text
    assert f"free space: 5.00 GB free in {folder} (run directory)" in caplog.text


def test_the_checks_import_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import json, sys; import orchestrator.sweep; from orchestrator.doctor.before_a_sweep import *; "
        "from orchestrator.doctor.finding import Question; check_before_sweep(Question()); "
        "print(json.dumps([name for name in ('torch', 'ray', 'mlflow', 'timm', 'optuna') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_weights_that_timm_loads_are_known_without_it() -> None:
    import timm

    from trainer.models.backbones import BACKBONES

    assert list(WEIGHTS) == [getattr(entry.code, "timm_name", None) for entry in BACKBONES.values()]
    for name, tag in WEIGHTS.items():
        config = timm.get_pretrained_cfg(name)
        assert tag in ("", config.hf_hub_id.partition(".")[2])
        assert config.hf_hub_filename in (None, "model.safetensors")


def test_a_refused_sweep_has_started_nothing_and_a_finished_one_needs_nothing(
    tiny_space: Path, quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_space), "--out", str(quick_options.out), "--executor", "serial", "--only", "w/o contrast"]
    full = SimpleNamespace(f_bavail=10, f_frsize=4096, f_files=0, f_favail=0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: full)
        patch.setattr(api, "open_follower", lambda *_: pytest.fail("something was started"))
        assert sweep.main(command) == WRONG
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("free space: 0.00 GB free in ")
        assert "; free space there, or name another folder (--run-dir" in line
    assert sweep.main(command) == DONE
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: full)
        assert sweep.main(command) == DONE
