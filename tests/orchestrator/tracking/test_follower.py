"""A sweep that is followed into MLflow: everything arrives, nobody waits, and outages are made up for."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.in_process import InProcessFollower
from orchestrator.commands.sync import differences
from orchestrator.errors import AccessError, OutageError, TrackingError
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import PlannedRun, SweepRecord
from orchestrator.tracking.follower import Follower, RetryTimings
from orchestrator.tracking.mirror import Mirror
from orchestrator.tracking.mlflow_store import Server
from orchestrator.tracking.uri import is_own_file
from tests.orchestrator.tracking.conftest import CONFIG, World
from tests.processes import is_alive

MakeRecord = Callable[..., AttemptRecord]
MakeTask = Callable[..., Task]

QUICK = RetryTimings(
    round_seconds=0.01,
    first_retry_seconds=0.02,
    longest_retry_seconds=0.05,
    closing_retry_seconds=0.05,
    outage_seconds=60.0,
    closing_seconds=120.0,
    admission_seconds=60.0,
)


class Network:
    """Between the follower and its server: may be slow or down, and counts."""

    def __init__(self) -> None:
        self.seconds_per_call = 0.0
        self.down = False
        self.connections = 0
        self.writes = 0

    def connect(self, uri: str) -> Server:
        network = self

        class Remote(Server):
            @contextmanager
            def in_one_line(self) -> Iterator[None]:
                time.sleep(network.seconds_per_call)
                if network.down:
                    raise OutageError("http://here: nobody answers")
                with super().in_one_line():
                    yield

            def log(self, run_id: str, readings=(), tags=None, params=None) -> None:
                network.writes += any(reading.key == "train/loss" for reading in readings)
                super().log(run_id, readings, tags, params)

        server = Remote(uri)
        self.connections += 1
        return server


class Driver:
    """Does what the driver of a sweep does: the run directory first, then the follower."""

    def __init__(self, world: World, follower: Follower, make_task: MakeTask, make_record: MakeRecord) -> None:
        self.world, self.follower = world, follower
        self.make_task, self.make_record = make_task, make_record

    def begin(self, sweep: SweepRecord) -> None:
        self.world.store.write_sweep(sweep)
        self.follower.begin(sweep, self.world.store.outcomes(sweep.trial_ids))

    def start(self, trial_id: str, *steps: int) -> None:
        self.world.store.start(trial_id, 1, CONFIG, time=100.0, facts={"data": "d" * 64})
        self.follower.started(self.make_task(trial_id))
        self.report(trial_id, *steps)

    def report(self, trial_id: str, *steps: int) -> None:
        for step in steps:
            point = Point(step=step, metrics={"train/loss": 1 / (step + 1)}, time=100.0 + step)
            self.world.store.append(trial_id, point)
            self.follower.reported(self.make_task(trial_id), point)

    def end(self, trial_id: str) -> None:
        record = self.make_record(trial_id, final__miou=0.5)
        self.world.store.end(record)
        self.follower.ended(self.make_task(trial_id), record)

    def finish(self, *, completed: bool = True) -> None:
        self.follower.finish({}, {}, completed)


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def follower(world: World, network: Network) -> Iterator[InProcessFollower]:
    follower = InProcessFollower(world.uri, world.store.location, QUICK, network.connect)
    yield follower
    follower.stop()


@pytest.fixture
def driver(world: World, follower: Follower, make_task: MakeTask, make_record: MakeRecord) -> Driver:
    return Driver(world, follower, make_task, make_record)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_everything_arrives_in_few_writes_and_the_driver_does_not_wait(
    world: World, network: Network, driver: Driver, follower: Follower, sweep: SweepRecord
) -> None:
    follower.admit()
    network.seconds_per_call = 0.05
    driver.begin(sweep)
    driver.start("base0")
    told = [driver.make_task("base0"), Point(step=1, metrics={})]
    began = time.monotonic()
    for _ in range(200):
        follower.reported(*told)
    assert time.monotonic() - began < 200 * network.seconds_per_call / 2
    driver.report("base0", *range(200))
    driver.end("base0")
    driver.finish()
    follower.close()
    assert [step for step, _ in world.curve(world.child("without", 0), "train/loss")] == list(range(200))
    assert network.writes <= 5, "reports that wait travel together"
    assert (follower.failure, follower.lacking) == (None, "")
    assert differences(world.store.location, sweep.name, world.uri) == []
    assert {run.info.status for run in world.runs("sweep")} == {"FINISHED"}


def test_an_outage_in_mid_sweep_is_made_up_for(
    world: World, network: Network, driver: Driver, follower: Follower, sweep: SweepRecord
) -> None:
    driver.begin(sweep)
    driver.start("base0", 1)
    wait_until(lambda: network.writes == 1)
    network.down = True
    driver.report("base0", 2, 3)
    driver.start("full0", 1)
    driver.end("base0")
    wait_until(lambda: follower.failure is not None)
    network.down = False
    driver.report("full0", 2)
    driver.finish(completed=False)
    follower.close()
    assert network.connections >= 2
    assert (follower.failure, follower.lacking) == (None, "")
    assert world.child("without", 0).info.status == "FINISHED"
    assert world.child("with | pipe", 0).info.status == "KILLED", "interrupted in mid-run"
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_a_server_that_stays_away_costs_a_limited_time_and_what_is_missing_is_told(
    world: World, network: Network, driver: Driver, follower: Follower, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    follower.timings = replace(QUICK, outage_seconds=0.3)
    network.down = True
    world.store.end(make_record("full1"))
    driver.begin(sweep)
    driver.start("base0", 1)
    driver.end("base0")
    driver.finish()
    wait_until(lambda: "final table" in follower.lacking)
    began = time.monotonic()
    follower.close()
    assert time.monotonic() - began < QUICK.outage_seconds / 2
    assert follower.lacking == "2 trials and the final table"
    assert str(follower.failure) == "http://here: nobody answers"


def test_what_waits_during_an_outage_is_one_event_for_each_trial(
    world: World, network: Network, driver: Driver, follower: InProcessFollower, sweep: SweepRecord
) -> None:
    ids = [f"trial{number}" for number in range(20)]
    cells = tuple(PlannedRun(row="without", seed=seed, trial_id=trial_id) for seed, trial_id in enumerate(ids))
    sweep = replace(sweep, cells=cells)
    driver.begin(sweep)
    follower.admit()
    wait_until(lambda: world.runs("sweep"))
    network.down = True
    for trial_id in ids:
        driver.start(trial_id, *range(20))
        driver.end(trial_id)
        child = follower.children[-1].child
        assert child is not None
        assert len(child.inbox) + len(child.delivery.pending if child.delivery else ()) <= 2 * len(ids)
    network.down = False
    driver.finish()
    follower.close()
    assert len(follower.children) == 1
    assert follower.lacking == ""
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_a_trial_that_mlflow_refuses_delays_no_other(
    world: World,
    driver: Driver,
    follower: Follower,
    sweep: SweepRecord,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = Mirror.fill

    def fill(self: Mirror, planned: PlannedRun, record: AttemptRecord | None) -> str:
        if planned.trial_id == "base0":
            raise TrackingError("no such thing")
        if planned.trial_id == "base1":
            raise KeyError("http://anna:verysecret@here")
        return real(self, planned, record)

    monkeypatch.setattr(Mirror, "fill", fill)
    driver.begin(sweep)
    for trial_id in ("base0", "base1", "full0"):
        driver.start(trial_id, 1)
        driver.end(trial_id)
    driver.finish()
    follower.close()
    assert follower.lacking == "2 trials"
    assert str(follower.failure) in ("no such thing", "KeyError: 'http://here'")
    assert [run.data.tags["trial_id"] for run in world.runs("trial")] == ["full0"]
    assert {run.info.status for run in world.runs("sweep")} == {"FINISHED"}
    assert "Traceback" in caplog.text, "a defect is not lost"
    assert "verysecret" not in caplog.text


def test_wrong_credentials_are_told_before_the_first_trial(world: World) -> None:
    def refuse(uri: str) -> Server:
        raise AccessError("http://here: MLflow refuses access")

    follower = InProcessFollower(world.uri, world.store.location, QUICK, refuse)
    with pytest.raises(AccessError, match=r"^http://here: MLflow refuses access$"):
        follower.admit()
    began = time.monotonic()
    follower.close()
    assert time.monotonic() - began < QUICK.outage_seconds / 2


def test_a_silent_server_delays_the_sweep_for_a_limited_time(world: World) -> None:
    free = threading.Event()

    def hang(uri: str) -> Server:
        free.wait(60)
        raise OutageError("gone")

    follower = InProcessFollower(world.uri, world.store.location, replace(QUICK, admission_seconds=0.1), hang)
    began = time.monotonic()
    follower.admit()
    assert time.monotonic() - began < 30
    free.set()
    follower.close()
    assert follower.lacking == ""


def test_a_call_that_never_returns_is_given_up(
    world: World, driver: Driver, follower: Follower, network: Network, sweep: SweepRecord
) -> None:
    follower.timings = replace(QUICK, closing_seconds=0.2)
    driver.begin(sweep)
    driver.start("base0", 1)
    wait_until(lambda: network.writes)
    network.seconds_per_call = 2.0
    driver.end("base0")
    driver.finish()
    follower.wait()
    follower.hear({"refused": False, "failure": "", "failing": False, "lacking": "", "finished": True})
    follower.close()
    assert str(follower.failure).startswith("not finished after ")


def test_a_process_that_cannot_start_is_a_failure_like_others(
    world: World, sweep: SweepRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Follower) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Follower, "spawn", fail)
    follower = Follower(world.uri, world.store.location, timings=replace(QUICK, outage_seconds=0.5))
    follower.admit()
    follower.begin(sweep, {})
    follower.finish({}, {}, True)
    follower.close()
    reason = "the process that writes to MLflow did not start (Resource temporarily unavailable)"
    assert str(follower.failure) == reason


def test_a_damaged_database_is_told_at_once_and_nobody_waits_for_it(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    (world.folder / "mlflow.db").write_bytes(b"no database at all " * 1000)
    began = time.monotonic()
    follower = InProcessFollower(world.uri, world.store.location, QUICK)
    follower.admit()
    driver = Driver(world, follower, make_task, make_record)
    driver.begin(sweep)
    driver.start("base0", 1)
    driver.end("base0")
    driver.finish()
    follower.close()
    assert time.monotonic() - began < QUICK.outage_seconds / 2
    assert follower.lacking == "1 trial and the final table"
    assert "the database is damaged; move it away" in str(follower.failure)
    assert [line for line in caplog.messages if "MLflow" in line and "the sweep continues" in line] == [
        f"MLflow gets nothing at present ({follower.failure}); the sweep continues"
    ]


def test_a_remedy_that_is_carried_out_in_mid_sweep_takes_effect(
    world: World, driver: Driver, follower: Follower, sweep: SweepRecord, caplog: pytest.LogCaptureFixture
) -> None:
    driver.begin(sweep)
    driver.start("base0", 1)
    wait_until(lambda: world.runs("trial"))
    experiment = world.runs("trial")[0].info.experiment_id
    world.client.delete_experiment(experiment)
    driver.report("base0", 2)
    wait_until(lambda: follower.blocked)
    assert "is in MLflow's trash" in str(follower.failure)
    world.client.restore_experiment(experiment)
    wait_until(lambda: not follower.blocked)
    driver.end("base0")
    driver.finish(completed=False)
    follower.close()
    assert (follower.failure, follower.lacking) == (None, "")
    assert "MLflow can be written again" in caplog.messages
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_a_run_that_somebody_deletes_in_mid_sweep_is_replaced(
    world: World, driver: Driver, follower: Follower, sweep: SweepRecord
) -> None:
    driver.begin(sweep)
    driver.start("base0", 1)
    wait_until(lambda: world.runs("trial"))
    for run in (*world.runs("trial"), *world.runs("sweep")):
        world.client.delete_run(run.info.run_id)
    driver.report("base0", 2, 3)
    driver.end("base0")
    driver.finish(completed=False)
    follower.close()
    assert (follower.failure, follower.lacking) == (None, "")
    assert [step for step, _ in world.curve(world.child("without", 0), "train/loss")] == [1, 2, 3]
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_a_plan_that_grows_is_followed(world: World, driver: Driver, follower: Follower, sweep: SweepRecord) -> None:
    driver.begin(replace(sweep, cells=sweep.cells[:1]))
    follower.admit()
    wait_until(lambda: world.runs("sweep"))
    world.store.write_sweep(sweep)
    follower.planned(sweep)
    driver.start("full0", 1)
    driver.end("full0")
    driver.finish(completed=False)
    follower.close()
    assert world.child("with | pipe", 0).info.status == "FINISHED"
    (parent,) = world.runs("sweep")
    assert parent.data.metrics["trials/planned"] == 4
    assert len(world.json(parent, "sweep.json")["cells"]) == 4


# -- the child process itself

ORPHAN = """
import sys
from pathlib import Path
from orchestrator.tracking.follower import Follower
follower = Follower(sys.argv[1], "runs")
follower.admit()
assert "mlflow" not in sys.modules
print(follower.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_child_that_dies_is_replaced_and_the_next_one_catches_up(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    follower = Follower(world.uri, world.store.location, timings=QUICK)
    driver = Driver(world, follower, make_task, make_record)
    driver.begin(sweep)
    follower.admit()
    assert follower.failure is None
    killed = follower.process
    assert killed is not None
    os.kill(killed.pid, signal.SIGTERM)
    driver.start("base0", 1)
    wait_until(lambda: len(world.runs("trial")) == 1)  # which SIGTERM did not prevent
    killed.kill()
    for trial_id in ("full0", "base1"):
        driver.start(trial_id, 1)
        driver.end(trial_id)
    driver.end("base0")
    driver.finish()
    follower.close()
    assert not is_alive(killed.pid)
    assert follower.lacking == ""
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_the_child_ends_with_its_driver_however_that_ends_and_shows_no_password(world: World) -> None:
    uri = f"{world.uri}?password=verysecret"
    driver = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    pid = int(driver.stdout.readline())
    assert is_alive(pid)
    assert b"verysecret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    driver.kill()
    driver.communicate()
    wait_until(lambda: not is_alive(pid))


def test_a_follower_that_is_stopped_leaves_no_process(world: World) -> None:
    follower = Follower(world.uri, world.store.location)
    wait_until(lambda: follower.process is not None)
    assert follower.process is not None
    pid = follower.process.pid
    follower.stop()
    assert not is_alive(pid)
    follower.stop()


def test_a_child_that_is_not_needed_at_once_starts_with_the_first_report(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    follower = InProcessFollower(world.uri, world.store.location, QUICK, at_once=False)
    driver = Driver(world, follower, make_task, make_record)
    follower.admit()
    driver.begin(sweep)
    driver.start("base0", 1)
    wait_until(lambda: follower.children)
    driver.end("base0")
    driver.finish()
    follower.close()
    assert (len(follower.children), follower.lacking) == (1, "")
    assert differences(world.store.location, sweep.name, world.uri) == []


def test_a_follower_that_never_started_stops(world: World) -> None:
    follower = InProcessFollower(world.uri, world.store.location, QUICK, at_once=False)
    follower.stop()
    follower.start()
    assert not follower.children


@pytest.mark.parametrize(
    ("uri", "own"),
    [("sqlite:///mlflow.db", True), ("sqlite:///no/such/folder/mlflow.db", False), ("http://host:5000", False)],
)
def test_a_store_that_may_refuse_access_is_asked_before_the_first_trial(
    uri: str, own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_own_file(uri) is own
