"""A mirror in a process of its own: the same runs as with one here, errors as they are, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from orchestrator.commands.sync import differences
from orchestrator.errors import AccessError, OutageError, TrackingError
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, SweepRecord
from orchestrator.tracking.apart import MirrorProcess
from orchestrator.tracking.background import Background, Patience
from tests.orchestrator.tracking.conftest import World
from tests.processes import is_alive

MakeRecord = Callable[..., AttemptRecord]
MakeTask = Callable[..., Task]

ORPHAN = """
import sys
from orchestrator.tracking.apart import MirrorProcess
mirror = MirrorProcess(sys.argv[1], "runs")
mirror.connect()
print(mirror.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def apart(world: World) -> Iterator[MirrorProcess]:
    mirror = MirrorProcess(world.uri, world.store.location)
    yield mirror
    mirror.close()


def train(world: World, sweep: SweepRecord, make_record: MakeRecord) -> None:
    """All trials of the sweep, in the store alone."""
    world.promise(sweep)
    for trial_id in {cell.trial_id for cell in sweep.cells}:
        world.store.start(trial_id, 1, {"seed": 0}, time=100.0, facts={"data": "d" * 64, "result_version": 2})
        world.store.end(make_record(trial_id, final__miou=0.5))


def test_a_sweep_arrives_whole(world: World, apart: MirrorProcess, sweep: SweepRecord, make_record: MakeRecord) -> None:
    train(world, sweep, make_record)
    outcomes = world.outcomes(sweep)
    mirror = apart.connect()
    lacking = mirror.begin(sweep, {}, set())
    assert lacking == []
    for trial_id, record in outcomes.items():
        mirror.deliver(trial_id, record, None)
        mirror.refresh({trial_id: record}, set())
    mirror.finish(outcomes, {}, True)
    assert differences(world.store.location, sweep.name, world.uri) == []
    assert {run.info.status for run in world.runs("sweep")} == {"FINISHED"}


def test_each_outcome_is_sent_once(
    world: World, apart: MirrorProcess, sweep: SweepRecord, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[str]] = []
    first, second = make_record("base1"), make_record("base2")
    monkeypatch.setattr(
        apart, "ask", lambda name, *arguments: sent.append(sorted(next(a for a in arguments if isinstance(a, dict))))
    )
    apart.begin(sweep, {"base1": first}, set())
    apart.refresh({"base1": first}, set())
    apart.refresh({"base1": first, "base2": second}, set())
    apart.finish({"base1": make_record("base1", final__miou=0.5), "base2": second}, {}, True)
    assert sent == [["base1"], [], ["base2"], ["base1"]]


def test_errors_keep_their_class_and_their_line(world: World) -> None:
    mirror = MirrorProcess("gopher://nowhere", world.store.location)
    with pytest.raises(AccessError, match=r"gopher://nowhere: no tracking store of MLflow"):
        mirror.connect()
    process = mirror.process
    with pytest.raises(AccessError):
        mirror.connect()
    assert mirror.process is process, "the process that has imported MLflow is used again"
    mirror.close()


def test_any_other_failure_is_one_line(world: World, apart: MirrorProcess, sweep: SweepRecord) -> None:
    mirror = apart.connect()
    with pytest.raises(TrackingError, match=r"AttributeError: 'str' object has no attribute"):
        mirror.begin("no sweep at all", {}, set())  # type: ignore[arg-type]


def test_a_process_that_dies_is_an_outage_and_the_next_one_catches_up(
    world: World, apart: MirrorProcess, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    train(world, sweep, make_record)
    quick = Patience(pause=0.01, first_retry=0.05, closing_retry=0.05, outage=60.0)
    background = Background(apart.connect, quick)
    background.begin(sweep, {})
    background.admit()
    assert apart.process is not None
    killed = apart.process
    killed.kill()
    for trial_id, record in world.outcomes(sweep).items():
        background.ended(make_task(trial_id), record)
    background.finish(world.outcomes(sweep), {}, True)
    background.close()
    assert not background.lacking
    assert apart.process is not killed
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_the_death_is_told_as_an_outage(world: World, apart: MirrorProcess, sweep: SweepRecord) -> None:
    mirror = apart.connect()
    assert apart.process is not None
    apart.process.kill()
    with pytest.raises(OutageError, match=r"the process that writes to MLflow ended \(exit code -9\)"):
        mirror.planned(sweep)


def test_it_ends_when_it_is_closed_and_ignores_sigterm_before(world: World) -> None:
    mirror = MirrorProcess(world.uri, world.store.location)
    mirror.connect()
    assert mirror.process is not None
    pid = mirror.process.pid
    os.kill(pid, signal.SIGTERM)
    mirror.connect()
    assert mirror.process.pid == pid
    mirror.close()
    assert not is_alive(pid)
    mirror.close()


def test_it_ends_with_its_driver_however_that_ends(world: World) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, world.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    pid = int(driver.stdout.readline())
    assert is_alive(pid)
    driver.kill()
    driver.communicate()
    until = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(pid)
