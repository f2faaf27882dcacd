"""The fork server: every trial is a process as new as one that was started, and outlives neither client nor server."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from orchestrator.machine.own_folder import MARK, remove_stale, temporary_folder
from orchestrator.running.fork_server import starting
from orchestrator.running.fork_server.remote_trial import RemoteTrial
from orchestrator.running.fork_server.request import DIED, POINT, RECORD, TrialRequest
from orchestrator.running.fork_server.starting import ADDRESS, connect, server_of_this_process, shared_server
from orchestrator.running.task import StopTrial, Task, Work
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import make_tasks, quick_work
from tests.processes import is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ends processes as Linux does")

Report = Callable[[Point], None]


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder with a short path for sockets."""
    with temporary_folder("test") as folder:
        yield folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its trials leave nothing to each other, as these tests show."""
    with temporary_folder("test") as folder, server_of_this_process(folder, (), {}) as path:
        yield path


def request_of(work: Work, folder: Path, environment: Mapping[str, str] | None = None, seed: int = 0) -> TrialRequest:
    return TrialRequest(
        work=cloudpickle.dumps(work),
        task=pickle.dumps(make_tasks(seed + 1, folder)[seed]),
        environment=dict(os.environ) if environment is None else environment,
        folder=str(folder),
        umask=0o027,
    )


def run(path: str, request: TrialRequest) -> tuple[list[dict[str, Any]], RemoteTrial]:
    """All messages of a trial, and the trial."""
    with RemoteTrial(connect(path), request) as trial:
        return list(trial.messages()), trial


def returning(facts: Callable[[], Mapping[str, str]]) -> Work:
    """Work whose record has these facts."""

    def work(task: Task, report: Report) -> AttemptRecord:
        return AttemptRecord(
            trial_id=task.trial_id, attempt=1, state=State.DONE, started_at=0, ended_at=0, environment=facts()
        )

    return work


def facts_of(path: str, folder: Path, facts: Callable[[], Mapping[str, str]], **options: Any) -> dict[str, str]:
    """What `facts` returns in a trial's process."""
    messages, trial = run(path, request_of(returning(facts), folder, **options))
    assert [*messages[-1]] == [RECORD], trial.reason
    return dict(messages[-1][RECORD]["environment"])


def writes_its_pid(file: Path, then: Callable[[], object]) -> Work:
    """Work that writes the id of its process and then does something."""

    def work(task: Task, report: Report) -> AttemptRecord:
        draft = file.with_suffix(".draft")
        draft.write_text(str(os.getpid()))
        draft.rename(file)
        then()
        raise AssertionError

    return work


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_in(file: Path) -> int:
    wait_for(file.exists)
    return int(file.read_text())


def test_points_arrive_in_order_and_the_record_last(server: str, tmp_path: Path) -> None:
    messages, trial = run(server, request_of(quick_work(), tmp_path))
    assert [next(iter(message)) for message in messages] == [POINT, POINT, POINT, RECORD]
    assert [message[POINT]["step"] for message in messages[:-1]] == [1, 2, 3]
    assert messages[-1][RECORD]["state"] == "done"
    assert trial.ended is not None
    assert trial.ended.code == 0


def test_the_process_has_the_environment_of_the_request_and_nothing_else_of_the_server(
    parent: Path, tmp_path: Path
) -> None:
    def facts() -> Mapping[str, str]:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
        return {
            "variables": " ".join(sorted(os.environ)),
            "folder": str(Path.cwd()),
            "umask": oct(os.umask(0)),
            "handlers": " ".join(sorted({str(int(handler)) for handler in handlers.values()})),  # type: ignore[arg-type]
            "input": str(Path("/proc/self/fd/0").readlink()),
            "group": str(os.getpgid(0) == os.getpid()),
            "files": str(len([*Path("/proc/self/fd").iterdir()])),
        }

    with server_of_this_process(parent, (), {"OF_THE_SERVER": "1"}) as path:
        first = facts_of(path, tmp_path, facts, environment={"OF_THE_TRIAL": "1"})
        again = facts_of(path, tmp_path, facts, environment={"OF_THE_TRIAL": "1"})
    assert (
        first
        == again
        == {
            "variables": "OF_THE_TRIAL",
            "folder": str(tmp_path),
            "umask": oct(0o027),
            "handlers": str(int(signal.SIG_DFL)),
            "input": os.devnull,
            "group": "True",
            "files": first["files"],
        }
    )
    assert int(first["files"]) <= 6, "input, output, errors, reports, and the list itself"


def test_random_numbers_differ_from_trial_to_trial_as_in_new_processes(parent: Path, tmp_path: Path) -> None:
    def facts() -> Mapping[str, str]:
        import random

        import numpy

        return {"python": str(random.random()), "numpy": str(numpy.random.random())}

    with server_of_this_process(parent, ("numpy", "random"), {}) as path:
        found = [facts_of(path, tmp_path, facts) for _ in range(2)]
    assert found[0]["python"] != found[1]["python"]
    assert found[0]["numpy"] != found[1]["numpy"]


def test_what_one_trial_changes_no_other_sees(server: str, tmp_path: Path) -> None:
    def facts() -> Mapping[str, str]:
        import orchestrator

        before = getattr(orchestrator, "left_behind", "nothing")
        orchestrator.left_behind = "something"  # type: ignore[attr-defined]
        return {"found": before}

    assert [facts_of(server, tmp_path, facts)["found"] for _ in range(2)] == ["nothing", "nothing"]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL (out of memory?)"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "was killed by SIGSEGV"),
        (lambda: (os.write(1, b"two\nlast words\n"), os._exit(7)), "ended with exit code 7: last words"),
        (lambda: (sys.stdout.write("x\n" * 200_000 + "end"), sys.exit(3)), "ended with exit code 3: end"),
    ],
    ids=["killed", "segmentation fault", "exit", "much output"],
)
def test_the_client_is_told_how_a_process_ended(
    server: str, tmp_path: Path, ending: Callable[[], object], reason: str
) -> None:
    messages, trial = run(server, request_of(writes_its_pid(tmp_path / "pid", ending), tmp_path))
    assert not messages
    assert trial.reason == f"the process of the trial {reason}"


def test_work_that_raises_says_what(server: str, tmp_path: Path) -> None:
    def work(task: Task, report: Report) -> AttemptRecord:
        raise RuntimeError("not even a record")

    messages, _ = run(server, request_of(work, tmp_path))
    assert messages == [{DIED: "RuntimeError: not even a record"}]


def test_a_trial_that_is_stopped_at_a_report_ends_by_itself(server: str, tmp_path: Path) -> None:
    def work(task: Task, report: Report) -> AttemptRecord:
        try:
            report(Point(step=1, metrics={}, time=0.0, attempt=1))
        except StopTrial:
            (tmp_path / "stopped").touch()
            raise
        raise AssertionError

    with RemoteTrial(connect(server), request_of(work, tmp_path)) as trial:
        next(trial.messages())
    assert (tmp_path / "stopped").exists()


def test_a_process_and_its_children_end_when_the_client_leaves(server: str, tmp_path: Path) -> None:
    def hang() -> None:
        child = subprocess.Popen(["sleep", "600"])
        (tmp_path / "child").write_text(str(child.pid))
        time.sleep(600)

    with RemoteTrial(connect(server), request_of(writes_its_pid(tmp_path / "pid", hang), tmp_path)):
        pid, child = pid_in(tmp_path / "pid"), tmp_path / "child"
        wait_for(lambda: child.exists() and child.read_text())
    wait_for(lambda: not is_alive(pid))
    wait_for(lambda: not is_alive(int(child.read_text())))
    assert run(server, request_of(quick_work(), tmp_path))[0], "the server continues"


def test_children_that_a_trial_leaves_behind_end_with_it(server: str, tmp_path: Path) -> None:
    def facts() -> Mapping[str, str]:
        return {"child": str(subprocess.Popen(["sleep", "600"]).pid)}

    child = int(facts_of(server, tmp_path, facts)["child"])
    wait_for(lambda: not is_alive(child))


def test_trials_run_side_by_side(server: str, tmp_path: Path) -> None:
    def meeting(name: str, other: str) -> Work:
        def work(task: Task, report: Report) -> AttemptRecord:
            (tmp_path / name).touch()
            while not (tmp_path / other).exists():
                time.sleep(0.01)
            return quick_work()(task, report)

        return work

    with (
        RemoteTrial(connect(server), request_of(meeting("a", "b"), tmp_path)) as one,
        RemoteTrial(connect(server), request_of(meeting("b", "a"), tmp_path)) as other,
    ):
        assert [len(list(trial.messages())) for trial in (one, other)] == [4, 4]


def test_trials_end_with_their_server_and_the_client_is_told(parent: Path, tmp_path: Path) -> None:
    def facts() -> Mapping[str, str]:
        return {"server": str(os.getppid())}

    with server_of_this_process(parent, (), {}) as path:
        killed = int(facts_of(path, tmp_path, facts)["server"])
        hanging = writes_its_pid(tmp_path / "pid", lambda: time.sleep(600))
        with RemoteTrial(connect(path), request_of(hanging, tmp_path)) as trial:
            pid = pid_in(tmp_path / "pid")
            os.kill(killed, signal.SIGKILL)
            assert list(trial.messages()) == []
        assert trial.reason == "the fork server of the node died"
        wait_for(lambda: not is_alive(pid))
        with pytest.raises(OSError, match="refused"):
            connect(path)


DRIVER = """
import pickle, sys, time
from pathlib import Path
from orchestrator.running.fork_server.starting import server_of_this_process, connect
from orchestrator.running.fork_server.remote_trial import RemoteTrial
with server_of_this_process(Path(sys.argv[1]), (), {}) as path:
    with RemoteTrial(connect(path), pickle.loads(Path(sys.argv[2]).read_bytes())) as trial:
        next(trial.messages())
"""


def test_a_server_and_its_trials_end_with_a_driver_that_is_killed(parent: Path, tmp_path: Path) -> None:
    def hang() -> None:
        (tmp_path / "server").write_text(str(os.getppid()))
        time.sleep(600)

    request = request_of(writes_its_pid(tmp_path / "pid", hang), tmp_path)
    (tmp_path / "request").write_bytes(pickle.dumps(request))
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(parent), str(tmp_path / "request")])
    pid = pid_in(tmp_path / "pid")
    wait_for(lambda: (tmp_path / "server").exists() and (tmp_path / "server").read_text())
    server = int((tmp_path / "server").read_text())
    driver.kill()
    driver.wait()
    wait_for(lambda: not is_alive(pid))
    wait_for(lambda: not is_alive(server))


def server_behind(path: Path) -> int:
    """The id of the shared server's process."""
    return int(facts_of(str(path.read_text()), path.parent, lambda: {"server": str(os.getppid())})["server"])


def test_clients_of_a_node_share_a_server_that_ends_when_nobody_comes(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "IDLE_SECONDS", 1.0)
    controls = [shared_server(parent, "sweep-1", ()) for _ in range(3)]
    address = parent / f"sweep-1{ADDRESS}"
    server = server_behind(address)
    assert len({control.getpeername() for control in controls}) == 1
    assert os.getsid(server) == os.getsid(0), "what ends the session of a worker ends the server too"
    for control in controls:
        control.close()
    wait_for(lambda: not is_alive(server))
    assert [path.name for path in parent.iterdir() if path.name != MARK] == []


def test_a_shared_server_that_was_killed_is_replaced_and_leaves_no_address(parent: Path) -> None:
    shared_server(parent, "sweep-1", ()).close()
    first = server_behind(parent / f"sweep-1{ADDRESS}")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not is_alive(first))
    shared_server(parent, "sweep-1", ()).close()
    second = server_behind(parent / f"sweep-1{ADDRESS}")
    assert second != first
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: not is_alive(second))
    remove_stale(parent)
    starting.remove_stale_addresses(parent)
    assert [path.name for path in parent.iterdir() if path.name != MARK] == []


def test_a_module_that_makes_a_fork_unsafe_is_left_to_the_trials(parent: Path, tmp_path: Path) -> None:
    (tmp_path / "starts_a_thread.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), name='mine', daemon=True).start()\n"
    )
    (tmp_path / "harmless.py").write_text("")

    def facts() -> Mapping[str, str]:
        return {"imported": " ".join(name for name in ("harmless", "starts_a_thread") if name in sys.modules)}

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with server_of_this_process(parent, ("harmless", "no_such_module"), {}) as path:
            assert facts_of(path, tmp_path, facts) == {"imported": "harmless"}
        with server_of_this_process(parent, ("harmless", "starts_a_thread"), {}) as path:
            assert facts_of(path, tmp_path, facts) == {"imported": ""}
