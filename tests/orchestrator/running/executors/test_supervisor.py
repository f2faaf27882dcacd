"""The supervisor with children that run tasks without Ray, and fail in every way."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import pytest

from orchestrator.errors import SweepError
from orchestrator.running.executors import address_of_this_process
from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.executors.child_process import members_of
from orchestrator.running.executors.losses import lost_record
from orchestrator.running.executors.serial import Serial
from orchestrator.running.executors.supervisor import MOST_RESTARTS, Supervisor, SupervisorTimings
from orchestrator.running.task import Share, Task, Work
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.testing.executor import ExecutorContract, RecordingController, Run, make_tasks, quick_work

DEADLINE_SECONDS = 60.0


class InChild:
    """An executor of the child's: runs tasks one after the other."""

    capacity = Share(cpus=8.0)

    def __init__(self, work: Work, folder: Path | None = None) -> None:
        self.work = work
        self.folder = folder

    def run(self, controller: SweepController) -> None:
        Serial(self.work).run(controller)

    def dead_daemons(self) -> list[str]:
        return ["raylet"] if self.folder is not None and (self.folder / "dead").exists() else []

    def shutdown(self) -> None:
        if self.folder is not None:
            (self.folder / "shut down").touch()


cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the child does not find the tests
Supervise = Callable[..., Supervisor]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Starts supervisors of an executor that is made in the child, and ends them."""
    started: list[Supervisor] = []

    def start(make: Callable[[], object], timings: SupervisorTimings | None = None, **options: Any) -> Supervisor:
        started.append(Supervisor(cloudpickle.dumps(make), timings, **options))
        return started[-1]

    yield start
    for supervisor in started:
        supervisor.shutdown()


class TestSupervisor(ExecutorContract):
    @pytest.fixture
    def run(self, supervise: Supervise) -> Run:
        return lambda controller, work: supervise(lambda: InChild(work)).run(controller)


def steps_of(controller: RecordingController, trial_id: str) -> list[int]:
    return [value.step for _, value in controller.events_of(trial_id) if isinstance(value, Point)]


def states_of(controller: RecordingController, trial_id: str) -> list[State]:
    return [value.state for _, value in controller.events_of(trial_id) if isinstance(value, AttemptRecord)]


def done(task: Task) -> AttemptRecord:
    now = time.time()
    return AttemptRecord(trial_id=task.trial_id, attempt=task.attempt, state=State.DONE, started_at=now, ended_at=now)


def die() -> None:
    sys.stderr.write("[2026-11-28 00:17:19,455 E 1 2] rpc.h:204: what Ray says  before it ends the process\n")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_child_that_dies_costs_the_running_attempt_and_nothing_else(
    supervise: Supervise, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        report(Point(step=1, metrics={}, time=time.time(), attempt=task.attempt))
        if task.config.seed == 1 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            die()
        return done(task)

    controller = RecordingController(make_tasks(3, tmp_path))
    supervise(lambda: InChild(work)).run(controller)
    assert [states_of(controller, f"trial{index}") for index in range(3)] == [
        [State.DONE],
        [State.LOST, State.DONE],
        [State.DONE],
    ]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line == (
        "Ray ended the process that was connected to it (killed by SIGKILL: what Ray says before it ends the process); "
        "running trials are retried from their last checkpoints"
    )


FAILURES: dict[str, Callable[[], None]] = {
    "killed": die,
    "exits": lambda: os._exit(3),
    "aborts": os.abort,
    "raises": lambda: (_ for _ in ()).throw(RuntimeError("several\nlines")),
    "raises SystemExit": lambda: sys.exit("bye"),
    "says so": lambda: (_ for _ in ()).throw(ExecutorLostError("nothing runs here")),
}


ORDERS = (
    ("killed", "exits", "aborts", "raises"),
    ("raises SystemExit", "killed", "exits", "says so"),
)
"""How a child and those that replace it fail, one after another."""


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_without_progress_the_restarts_are_bounded_and_every_task_has_ended(
    supervise: Supervise, tmp_path: Path, order: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(InChild):
        def run(self, controller: SweepController) -> None:
            task = controller.next_task(self.capacity)
            other = controller.next_task(self.capacity)
            assert task is not None
            assert other is not None
            controller.started(task)
            how = order[len(list(tmp_path.glob("failure*")))]
            (tmp_path / f"failure {how}").touch()
            FAILURES[how]()

    controller = RecordingController(make_tasks(2, tmp_path))
    with pytest.raises(ExecutorLostError, match=r"; 3 restarts without progress; the same command resumes") as caught:
        supervise(lambda: Failing(quick_work())).run(controller)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == MOST_RESTARTS
    assert not [line for line in (*lines, str(caught.value)) if "\n" in line]
    assert not controller.running
    ends = [event for event, _, _ in controller.events if event == "ended"]
    assert len(ends) == len(controller.events) - len(ends) == MOST_RESTARTS + 1 == len(order)
    assert {state for index in range(2) for state in states_of(controller, f"trial{index}")} == {State.LOST}


def test_every_failure_is_tried() -> None:
    assert {how for order in ORDERS for how in order} == FAILURES.keys()


def test_a_trial_that_gets_further_each_time_is_never_given_up(supervise: Supervise, tmp_path: Path) -> None:
    most = 1

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        reached = len(list(tmp_path.glob("step*")))
        report(Point(step=reached + 1, metrics={}, time=time.time(), attempt=task.attempt))
        if reached < most + 2:
            (tmp_path / f"step{reached}").touch()
            os._exit(1)
        return done(task)

    controller = RecordingController(make_tasks(1, tmp_path))
    supervise(lambda: InChild(work), most_restarts=most).run(controller)
    assert states_of(controller, "trial0") == [State.LOST] * (most + 2) + [State.DONE]


def test_the_same_step_again_is_no_progress(supervise: Supervise, tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        report(Point(step=7, metrics={}, time=time.time(), attempt=task.attempt))
        os._exit(1)

    controller = RecordingController(make_tasks(1, tmp_path))
    with pytest.raises(ExecutorLostError, match="; 1 restart without progress"):
        supervise(lambda: InChild(work), most_restarts=1).run(controller)
    assert steps_of(controller, "trial0") == [7, 7]


def test_the_death_of_a_daemon_is_noticed_while_the_main_thread_is_blocked(
    supervise: Supervise, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if not (tmp_path / "dead").exists():
            (tmp_path / "dead").touch()
            time.sleep(3600)
        return done(task)

    class Reborn(InChild):
        def __init__(self) -> None:
            super().__init__(work, tmp_path)
            self.alive_before = not (tmp_path / "dead").exists()

        def dead_daemons(self) -> list[str]:
            return super().dead_daemons() if self.alive_before else []

    controller = RecordingController(make_tasks(1, tmp_path))
    began = time.monotonic()
    supervise(Reborn).run(controller)
    assert time.monotonic() - began < DEADLINE_SECONDS
    assert states_of(controller, "trial0") == [State.LOST, State.DONE]
    assert "Ray's raylet died; running trials are retried" in caplog.text


def test_a_child_that_says_nothing_is_waited_for_with_a_line_and_then_replaced(
    supervise: Supervise, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        if not (tmp_path / "slept").exists():
            (tmp_path / "slept").touch()
            time.sleep(3600)
        return done(task)

    class Impatient(RecordingController):
        """Lets the supervisor wait for a short time only while the first child is silent, not while one starts."""

        def started(self, task: Task) -> None:
            super().started(task)
            if not states_of(self, "trial0"):
                supervisor.timings = SupervisorTimings(check_seconds=0.1, warning_seconds=0.3, silent_seconds=1.0)

        def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
            super().ended(task, record, counts=counts)
            supervisor.timings = SupervisorTimings()

    controller = Impatient(make_tasks(1, tmp_path))
    supervisor = supervise(lambda: InChild(work))
    supervisor.run(controller)
    assert states_of(controller, "trial0") == [State.LOST, State.DONE]
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == [
        "Ray has not answered for 0 s; waiting up to 1 s",
        "Ray has not answered for 1 s; running trials are retried from their last checkpoints",
    ]


class Crowded(InChild):
    """Runs as many tasks at a time as it is given; of more than two, the memory does not suffice for the first."""

    def run(self, controller: SweepController) -> None:
        while not controller.finished:
            tasks = []
            while (task := controller.next_task(self.capacity)) is not None:
                controller.started(task)
                tasks.append(task)
            if len(tasks) > 2:
                text = "1 worker(s) were killed due to the node running low on memory."
                controller.ended(tasks[0], lost_record(tasks[0], time.time(), text), counts=False)
                raise ExecutorLostError("the memory was full")
            for task in tasks:
                self.work(task, lambda point: None)
                controller.ended(task, done(task))


def test_after_a_memory_kill_half_as_many_tasks_run_at_a_time(
    supervise: Supervise, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    controller = RecordingController(make_tasks(9, tmp_path))
    supervise(lambda: Crowded(quick_work())).run(controller)
    attempts = [states_of(controller, f"trial{index}") for index in range(9)]
    assert all(states[-1] is State.DONE for states in attempts)
    earlier = [state for states in attempts for state in states[:-1]]
    assert (earlier.count(State.OUT_OF_MEMORY), earlier.count(State.LOST)) == (2, 8 + 3)
    lines = [record.getMessage().rpartition(", ")[2] for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == ["4 at a time", "2 at a time"]


def test_an_executor_that_cannot_start_is_an_error_of_one_line(supervise: Supervise) -> None:
    def refuse() -> object:
        raise SweepError("no such cluster; start one")

    with pytest.raises(SweepError, match=r"^no such cluster; start one$"):
        supervise(refuse)

    def burst() -> object:
        raise ValueError("two\nlines")

    with pytest.raises(SweepError, match=r"^the executor cannot start \(ValueError: two lines\)$"):
        supervise(burst)

    with pytest.raises(SweepError, match=r"^Ray ended .* \(killed by SIGKILL: what Ray says before it ends the proc"):
        supervise(die)


def test_an_executor_that_takes_too_long_to_start_is_killed(supervise: Supervise) -> None:
    with pytest.raises(SweepError, match="Ray did not answer within 1 s"):
        supervise(lambda: time.sleep(3600), SupervisorTimings(starting_seconds=1.0))


def test_nothing_of_the_child_outlives_it(supervise: Supervise, tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        line = [sys.executable, "-c", "import time; time.sleep(3600)"]
        subprocess.Popen(line, process_group=0)  # as Ray's workers, in a group of its own
        return done(task)

    supervisor = supervise(lambda: InChild(work, tmp_path))
    assert supervisor.child is not None
    session = supervisor.child.process.pid
    supervisor.run(RecordingController(make_tasks(2, tmp_path)))
    assert len(members_of(session)) == 3
    supervisor.shutdown()
    assert (tmp_path / "shut down").exists()
    assert members_of(session) == []


@pytest.mark.parametrize("private", [False, True])
def test_a_private_executor_is_killed_at_the_end_with_all_that_it_has_started(
    supervise: Supervise, tmp_path: Path, private: bool
) -> None:
    def make() -> InChild:
        subprocess.Popen(["sleep", "600"])
        return InChild(quick_work(), tmp_path)

    supervisor = supervise(make, private=private)
    child = supervisor.child
    assert child is not None
    supervisor.run(RecordingController(make_tasks(2, tmp_path)))
    supervisor.shutdown()
    assert (tmp_path / "shut down").exists() is not private
    assert members_of(child.process.pid) == []


def test_the_child_leaves_signals_to_the_driver(supervise: Supervise, tmp_path: Path) -> None:
    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.killpg(0, number)
        return done(task)

    controller = RecordingController(make_tasks(1, tmp_path))
    supervise(lambda: InChild(work)).run(controller)
    assert states_of(controller, "trial0") == [State.DONE]


def test_a_cluster_to_which_a_notebook_is_connected_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = SimpleNamespace(
        is_initialized=lambda: True, get_runtime_context=lambda: SimpleNamespace(gcs_address="127.0.0.1:6379")
    )
    monkeypatch.setitem(sys.modules, "ray", connected)
    assert address_of_this_process() == "127.0.0.1:6379"
    connected.is_initialized = lambda: False
    assert address_of_this_process() is None
    monkeypatch.delitem(sys.modules, "ray")
    assert address_of_this_process() is None, "and ray is not imported"


DRIVER = """
import sys
from pathlib import Path
from orchestrator.running.executors.supervisor import Supervisor
supervisor = Supervisor(Path(sys.argv[1]).read_bytes())
print(supervisor.child.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the child ends at its next message")
def test_the_child_dies_with_the_driver(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(cloudpickle.dumps(lambda: InChild(quick_work())))
    line = [sys.executable, "-c", DRIVER, str(tmp_path / "content")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        session = int(driver.stdout.readline())
        assert members_of(session) == [session]
        driver.kill()
        driver.wait()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while members_of(session) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert members_of(session) == []
