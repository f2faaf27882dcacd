"""A driver killed at any moment: a reader finds whole records, and of each curve all but the end."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.backends import LocalFiles
from orchestrator.store.point_log import ChunkedPoints, read_line
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory

TRIALS = ("a", "b")
trials = st.sampled_from(TRIALS)


class Killed(BaseException):
    """Stands for SIGKILL: no code of ours may catch it."""


class CrashingDriver(RuleBasedStateMachine):
    """Successive drivers of one store; each may be killed between any two bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.appended: dict[str, list[Point]] = {trial: [] for trial in TRIALS}
        """Points given to the store and not known to be lost."""
        self.durable = dict.fromkeys(TRIALS, 0)
        """How many of them must survive any crash."""
        self.ended: dict[str, list[AttemptRecord]] = {trial: [] for trial in TRIALS}
        self.running: dict[str, int] = {}
        self.time = 0.0

    @initialize(remote=st.booleans())
    def choose(self, remote: bool) -> None:
        self.run_dir = f"memory://{uuid4().hex}" if remote else str(self.folder)
        self.open()

    def open(self) -> None:
        self.store = RecordStore(self.run_dir)
        if isinstance(self.store.point_log, ChunkedPoints):
            self.store.point_log = ChunkedPoints(self.store.files, self.store.check, delay_seconds=3600, chunk_points=3)

    def teardown(self) -> None:
        self.store.point_log.close()
        shutil.rmtree(self.folder)

    @rule(trial=trials)
    def start(self, trial: str) -> None:
        if trial in self.running:
            return
        before = len(self.ended[trial])
        attempt = self.store.next_attempt(trial)
        for lost in RunDirectory(self.run_dir).attempts(trial)[before:]:
            assert lost.state is State.LOST
            assert lost.attempt in {point.attempt for point in self.appended[trial]}
            self.ended[trial].append(lost)
        assert attempt > max((record.attempt for record in self.ended[trial]), default=0)
        self.time += 1
        self.store.start(trial, attempt, {"seed": 0}, self.time)
        self.appended[trial].append(Point(step=0, metrics={}, time=self.time, attempt=attempt))
        self.running[trial] = attempt

    @precondition(lambda self: self.running)
    @rule(trial=trials, value=st.floats())
    def report(self, trial: str, value: float) -> None:
        if trial in self.running:
            self.time += 1
            point = Point(
                step=int(self.time), metrics={"train/loss": value}, time=self.time, attempt=self.running[trial]
            )
            self.store.append(trial, point)
            self.appended[trial].append(point)

    @precondition(lambda self: self.running)
    @rule(trial=trials, state=st.sampled_from([State.DONE, State.LOST]))
    def end(self, trial: str, state: State) -> None:
        if trial in self.running:
            record = self.record(trial, state)
            self.store.end(record)
            self.ended[trial].append(record)
            self.durable[trial] = len(self.appended[trial])
            del self.running[trial]

    @precondition(lambda self: self.running)
    @rule(trial=trials, renamed=st.booleans())
    def killed_while_ending(self, trial: str, renamed: bool) -> None:
        """Before the record is renamed, or after."""
        if trial not in self.running:
            return
        record = self.record(trial, State.DONE)
        with pytest.MonkeyPatch.context() as patch:
            self.kill_at_rename(patch, renamed)
            with pytest.raises(Killed):
                self.store.end(record)
        self.durable[trial] = len(self.appended[trial])
        if renamed:
            self.ended[trial].append(record)
        self.reopen()

    @rule(cut=st.floats(0, 1))
    def killed(self, cut: float) -> None:
        """The machine crashes too: any number of the bytes that were not flushed is lost."""
        for trial in TRIALS:
            path = Path(self.run_dir, "trials", trial, "points.jsonl")
            if path.exists():
                content = path.read_bytes()
                flushed = sum(len(line) for line in content.splitlines(True)[: self.lines_flushed(trial, content)])
                path.write_bytes(content[: flushed + round(cut * (len(content) - flushed))])
        self.reopen()

    @invariant()
    def a_reader_sees_whole_records_and_beginnings_of_curves(self) -> None:
        if not hasattr(self, "run_dir"):
            return
        for trial in TRIALS:
            seen = list(map(repr, RunDirectory(self.run_dir).points(trial)))
            assert seen == list(map(repr, self.appended[trial][: len(seen)]))
            assert len(seen) >= self.durable[trial]
            assert list(RunDirectory(self.run_dir).attempts(trial)) == self.ended[trial]
        done = {trial for trial in TRIALS if any(record.state is State.DONE for record in self.ended[trial])}
        outcomes = RunDirectory(self.run_dir).outcomes(TRIALS)
        assert {trial for trial, record in outcomes.items() if record.state is State.DONE} == done

    def record(self, trial: str, state: State) -> AttemptRecord:
        return AttemptRecord(
            trial_id=trial, attempt=self.running[trial], state=state, started_at=0.0, ended_at=self.time
        )

    def kill_at_rename(self, patch: pytest.MonkeyPatch, renamed: bool) -> None:
        name, owner = ("replace", os) if isinstance(self.store.files, LocalFiles) else ("write", self.store.files)
        do: Callable[..., object] = getattr(owner, name)

        def killed(*arguments: object) -> None:
            record = any("attempt_" in str(argument) for argument in arguments[-2:])
            if renamed or not record:
                do(*arguments)
            if record:
                raise Killed

        patch.setattr(owner, name, killed)

    def lines_flushed(self, trial: str, content: bytes) -> int:
        """Lines of the file up to the last durable point, lines that were cut short included."""
        points = 0
        for number, line in enumerate(content.splitlines(), start=1):
            if points == self.durable[trial]:
                return number - 1
            points += is_whole(line)
        return len(content.splitlines())

    def reopen(self) -> None:
        """The next driver; points that the last one had not written are lost, but only from the end."""
        if isinstance(self.store.point_log, ChunkedPoints):
            self.store.point_log.tails.clear()
            self.store.point_log.close()
        self.running.clear()
        for trial in TRIALS:
            self.appended[trial] = self.appended[trial][: len(list(RunDirectory(self.run_dir).points(trial)))]
            assert len(self.appended[trial]) >= self.durable[trial]
        self.open()


def is_whole(line: bytes) -> bool:
    """Whether a line was not cut short. Its last byte does not tell: a cut after `"metrics": {}` ends with a brace."""
    try:
        read_line(line)
    except ValueError:
        return False
    return True


TestCrashingDriver = CrashingDriver.TestCase
TestCrashingDriver.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_the_points_are_flushed_before_the_record_that_sums_them_up(
    tmp_path: Path, make_record: Callable[..., AttemptRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RecordStore(tmp_path)
    store.start("a", 1, {}, time=1.0)
    flushed: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.end(make_record("a"))
    assert flushed[0] == "points.jsonl"
    assert flushed[1].startswith(".attempt_001.json.")
    assert flushed[2] == RunDirectory(tmp_path).trial_folder("a").name


def test_a_line_cut_at_any_byte_is_not_whole() -> None:
    machine = CrashingDriver()
    machine.choose(remote=False)
    machine.start("a")
    line = Path(machine.run_dir, "trials", "a", "points.jsonl").read_bytes()
    machine.teardown()
    assert is_whole(line)
    assert not any(is_whole(line[:length]) for length in range(len(line) - 1)), "all but the line break is whole"


def test_a_line_cut_at_a_brace_costs_no_later_point() -> None:
    machine = CrashingDriver()
    machine.choose(remote=False)
    machine.start("a")
    line = Path(machine.run_dir, "trials", "a", "points.jsonl").read_bytes()
    machine.killed(cut=(line.index(b"{}") + 2) / len(line))
    machine.start("a")
    machine.end("a", State.DONE)
    machine.killed(cut=0.0)
    machine.a_reader_sees_whole_records_and_beginnings_of_curves()
    assert [point.attempt for point in RunDirectory(machine.run_dir).points("a")] == [machine.ended["a"][-1].attempt]
    machine.teardown()
