"""A script as a workload: its lines become points and figures, and nothing of it is left when the trial ends."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.classify import classify
from orchestrator.running.task import StopTrial
from orchestrator.store.attempt_record import State
from orchestrator.workload.inputs import forget
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import WorkloadSource, load
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.script.command import filled
from orchestrator.workload.script.declaration import Declaration
from orchestrator.workload.script.workload import module_text, read_line

COMMAND = "python job.py {mode} {seed} {workdir}"
METRICS = {"final/score": {"direction": "max"}}
Make = Callable[[str], LoadedWorkload]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(source)`: the workload that runs this source as `job.py`."""

    def build(source: str, **changes: Any) -> LoadedWorkload:
        (tmp_path / "job.py").write_text("import json, os, signal, sys, time\n" + source, encoding="utf-8")
        block = {"command": COMMAND, "settings": {"mode": "plain"}, "metrics": METRICS, **changes}
        declaration = Declaration.read(block, tmp_path)
        return load(WorkloadSource(name=COMMAND, path=str(tmp_path / "a.yaml"), text=module_text(declaration)))

    return build


def run(workload: LoadedWorkload, folder: Path, progress: Any = lambda step, values: None) -> dict[str, float]:
    """The final metrics of a trial."""
    return dict(workload.workload.train(workload.config_type(), Runtime(threads=2), folder / "trial", progress).metrics)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"step": 100, "val/accuracy": 0.93}', (100, {"val/accuracy": 0.93})),
        ('{"step": 1.0, "val": {"accuracy": 1}}', (1, {"val/accuracy": 1.0})),
        ('{"final": {"accuracy": 0.5, "name": "x", "ok": true}}', (None, {"final/accuracy": 0.5})),
        ('{"step": "first", "loss": 1}', (None, {})),
        ('{"step": -1, "loss": 1}', (None, {})),
        ('{"step": NaN, "loss": 1}', (None, {})),
        ('{"step": Infinity, "loss": 1}', (None, {})),
        ('{"broken": ', (None, {})),
        ("[1, 2]", (None, {})),
        ("epoch 3: loss 0.1", (None, {})),
    ],
)
def test_lines(line: str, found: tuple[int | None, dict[str, float]]) -> None:
    assert read_line(line) == found


def test_values_are_filled_into_words_and_split_no_further() -> None:
    values = {"text": "a b; rm", "flag": True, "rate": 1e-05, "seed": 3}
    words = filled("python 'my job.py' --text {text} --flag={flag} {rate} {{{seed}}}", values)
    assert words == [sys.executable, "my job.py", "--text", "a b; rm", "--flag=true", "1e-05", "{3}"]


def test_points_results_and_log(make: Make, tmp_path: Path) -> None:
    workload = make(
        """
print("hello")
print(json.dumps({"step": 1, "train/loss": 2.0}))
print(json.dumps({"level": "info", "seconds": 3}))
print("careful", file=sys.stderr)
print(json.dumps({"final/score": 0.5, "cost/minutes": 1, "threads": os.environ["OMP_NUM_THREADS"]}))
"""
    )
    points: list[Any] = []
    assert run(workload, tmp_path, lambda *point: points.append(point)) == {"final/score": 0.5, "cost/minutes": 1.0}
    assert points == [(1, {"train/loss": 2.0})]
    log = (tmp_path / "trial" / "script.log").read_text(encoding="utf-8")
    assert "hello\n" in log
    assert "careful\n" in log
    assert "final/score" in log


@pytest.mark.parametrize(
    ("source", "message", "state"),
    [
        ("raise ValueError('bad rate')", "job.py ended with exit code 1: ValueError: bad rate", State.USER_ERROR),
        ("sys.exit(3)", "job.py ended with exit code 3: it printed no error", State.USER_ERROR),
        ("raise RuntimeError('CUDA out of memory')", "CUDA out of memory", State.OUT_OF_MEMORY),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL", State.LOST),
        ("print('done')", "printed no final/score, which the block `workload` declares", State.USER_ERROR),
        ("print('{\"final/score\": NaN}')", "final/score is nan", State.DIVERGED),
    ],
)
def test_failures(make: Make, tmp_path: Path, source: str, message: str, state: State) -> None:
    with pytest.raises(Exception, match=message.replace("(", r"\(")) as caught:
        run(make(source), tmp_path)
    assert classify(caught.value) is state


def test_the_record_of_a_failure_has_the_last_lines_of_standard_error(make: Make, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="exit code 1") as caught:
        run(make("for i in range(100): print(f'line {i}', file=sys.stderr)\nsys.exit(1)"), tmp_path)
    assert caught.value.__notes__[-1] == "line 99"
    assert len(caught.value.__notes__) == 30


def test_a_program_that_does_not_exist(make: Make, tmp_path: Path) -> None:
    workload = make("", command="no-such-program {mode} {seed}")
    with pytest.raises(Exception, match="no-such-program: No such file or directory"):
        run(workload, tmp_path)


CHILD = "import subprocess; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
REPORT = "print(json.dumps({'step': 1, 'pids/script': os.getpid(), 'pids/child': child.pid}), flush=True)\n"


def test_what_a_script_leaves_running_ends_with_it(make: Make, tmp_path: Path) -> None:
    pids: list[int] = []
    workload = make(CHILD + REPORT + "print('{\"final/score\": 1}')")
    run(workload, tmp_path, lambda step, values: pids.extend(map(int, values.values())))
    assert_gone(pids)


def test_a_stopped_trial_gets_sigterm_first_and_leaves_nothing(make: Make, tmp_path: Path) -> None:
    pids: list[int] = []

    def stop(step: int, values: dict[str, float]) -> None:
        pids.extend(map(int, values.values()))
        raise StopTrial(State.STOPPED)

    leave = "def leave(*_):\n    open(sys.argv[3] + '/saved', 'w').close()\n    os._exit(0)\n"
    leave += "signal.signal(signal.SIGTERM, leave)\n"
    workload = make(leave + CHILD + REPORT + "time.sleep(600)")
    with pytest.raises(StopTrial):
        run(workload, tmp_path, stop)
    assert (tmp_path / "trial" / "saved").exists()
    assert_gone(pids)


def test_a_killed_worker_takes_the_script_with_it(make: Make, tmp_path: Path) -> None:
    workload = make(CHILD + REPORT + "time.sleep(600)")
    code = (
        "import sys, pickle\nfrom pathlib import Path\nfrom orchestrator.workload.loading import load\n"
        "from orchestrator.workload.runtime import Runtime\n"
        "workload = load(pickle.loads(sys.stdin.buffer.read()))\n"
        "show = lambda step, values: print(*map(int, values.values()), flush=True)\n"
        "workload.workload.train(workload.config_type(), Runtime(), Path(sys.argv[1]), show)\n"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "trial")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(pickle.dumps(workload.source))
        worker.stdin.close()
        pids = [int(word) for word in worker.stdout.readline().split()]
        worker.kill()
    assert len(pids) == 2
    assert_gone(pids)


def assert_gone(pids: list[int]) -> None:
    """Wait until none of the processes runs."""
    deadline = time.monotonic() + 60
    while any(map(runs, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_script_and_inputs_are_part_of_the_digest_and_comments_are_not(make: Make, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1", encoding="utf-8")

    def digest(source: str) -> str:
        workload = make(source, inputs=["data"])
        return workload.workload.inputs(workload.config_type(), forget).digest

    first = digest("x = 1")
    assert digest("x = 1  # one") == first
    assert digest("x = 2") != first
    (tmp_path / "data" / "a.csv").write_text("2", encoding="utf-8")
    assert digest("x = 1") != first


def test_a_script_that_changes_during_a_sweep_fails_its_trials(make: Make, tmp_path: Path) -> None:
    workload = make("print('{\"final/score\": 1}')")
    (tmp_path / "job.py").write_text("print('{\"final/score\": 2}')", encoding="utf-8")
    with pytest.raises(Exception, match=r"job\.py: has changed since this sweep was started; start the same command"):
        run(workload, tmp_path)
