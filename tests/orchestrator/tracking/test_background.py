"""A mirror kept by a thread: everything arrives, nobody waits, outages are caught up with from the store."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.errors import AccessError, OutageError, TrackingError
from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, Point, SweepRecord
from orchestrator.tracking.background import Background, Patience

MakeRecord = Callable[..., AttemptRecord]
MakeTask = Callable[..., Task]

QUICK = Patience(pause=0.01, first_retry=0.02, last_retry=0.05, closing_retry=0.05, outage=0.3, end=5.0, admission=2.0)


class World:
    """A store, and a server that may be down or refuse; every connection is a mirror of its own."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.down = False
        self.poison = ""
        self.connections = 0
        self.stored: dict[str, list[int]] = {}
        self.held: dict[str, list[int]] = {}
        self.ended: dict[str, AttemptRecord] = {}
        self.calls: list[str] = []
        self.deliveries = 0
        self.final: bool | None = None

    def connect(self) -> "World":
        self.answer()
        self.connections += 1
        return self

    def answer(self) -> None:
        time.sleep(self.seconds)
        if self.down:
            raise OutageError("http://here: nobody answers")

    def begin(self, sweep: SweepRecord, outcomes: dict[str, AttemptRecord], running: set[str]) -> list[str]:
        self.answer()
        return [key for key, record in outcomes.items() if self.ended.get(key) != record]

    def planned(self, sweep: SweepRecord) -> None:
        self.calls.append(f"planned {sweep.name}")

    def deliver(self, trial_id: str, record: AttemptRecord | None, points: list[Point] | None) -> None:
        self.answer()
        if trial_id == self.poison:
            raise TrackingError("no such thing")
        self.deliveries += 1
        steps = self.stored.get(trial_id, []) if points is None else [point.step for point in points]
        held = self.held.setdefault(trial_id, [])
        held += [step for step in steps if step not in held]
        if record is not None:
            self.ended[trial_id] = record

    def refresh(self, outcomes: dict[str, AttemptRecord], running: set[str]) -> None:
        self.answer()

    def finish(self, outcomes: dict[str, AttemptRecord], artifacts: object, completed: bool) -> None:
        self.answer()
        self.final = completed


class Story:
    """A sweep as the driver tells it; the store hears first."""

    def __init__(self, world: World, background: Background) -> None:
        self.world, self.background = world, background

    def report(self, task: Task, *steps: int) -> None:
        for step in steps:
            self.world.stored.setdefault(task.trial_id, []).append(step)
            self.background.reported(task, Point(step=step, metrics={"train/loss": 1.0}))


def open_background(world: World, patience: Patience = QUICK) -> Background:
    return Background(world.connect, patience)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.005)


def test_everything_arrives_in_few_writes_and_the_caller_does_not_wait(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    world = World(seconds=0.05)
    background = open_background(world)
    story, task = Story(world, background), make_task("base0")
    began = time.monotonic()
    background.begin(sweep, {})
    background.started(task)
    story.report(task, *range(200))
    background.ended(task, make_record("base0"))
    background.finish({}, {}, True)
    assert time.monotonic() - began < 0.1
    background.close()
    assert world.held == {"base0": list(range(200))}
    assert world.final is True
    assert world.deliveries <= 4, "reports that wait travel together"
    assert (background.failure, background.lacking) == (None, "")


def test_an_outage_in_mid_sweep_is_caught_up_with(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    world = World()
    background = open_background(world)
    story, first, second = Story(world, background), make_task("base0"), make_task("full0")
    background.begin(sweep, {})
    background.started(first)
    story.report(first, 1)
    wait_until(lambda: world.held.get("base0") == [1])
    world.down = True
    story.report(first, 2, 3)
    background.started(second)
    story.report(second, 1)
    record = make_record("base0")
    background.ended(first, record)
    wait_until(lambda: background.failure is not None)
    world.down = False
    story.report(second, 2)
    background.finish({}, {}, True)
    background.close()
    assert world.held == {"base0": [1, 2, 3], "full0": [1, 2]}
    assert world.ended == {"base0": record}
    assert world.connections >= 2
    assert (background.failure, background.lacking) == (None, "")


def test_a_server_that_stays_away_costs_a_bounded_wait_and_is_told(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    world = World()
    world.down = True
    background = open_background(world)
    story, task = Story(world, background), make_task("base0")
    background.begin(sweep, {"full1": make_record("full1")})
    background.started(task)
    story.report(task, 1)
    background.ended(task, make_record("base0"))
    background.finish({"base0": make_record("base0"), "full1": make_record("full1")}, {}, True)
    began = time.monotonic()
    background.close()
    assert time.monotonic() - began < 3
    assert background.lacking == "2 trials and the final table"
    assert isinstance(background.failure, OutageError)


def test_memory_is_bounded_and_nothing_is_lost_for_it(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Background, "CAPACITY", 50)
    world = World()
    world.down = True
    background = open_background(world)
    story = Story(world, background)
    background.begin(sweep, {})
    for number in range(100):
        task = make_task(f"trial{number}")
        background.started(task)
        story.report(task, *range(20))
        background.ended(task, make_record(task.trial_id))
        assert background.waiting_points <= 50
        assert sum(len(news.points or ()) for news in background.news.values()) == background.waiting_points
    world.down = False
    background.finish({}, {}, True)
    background.close()
    assert world.held == {f"trial{number}": list(range(20)) for number in range(100)}
    assert len(world.ended) == 100


def test_a_trial_that_is_refused_holds_nobody_up(
    sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    world = World()
    world.poison = "base0"
    background = open_background(world)
    story = Story(world, background)
    background.begin(sweep, {})
    for trial_id in ("base0", "full0"):
        background.started(make_task(trial_id))
        story.report(make_task(trial_id), 1)
        background.ended(make_task(trial_id), make_record(trial_id))
    background.finish({}, {}, True)
    background.close()
    assert world.held == {"full0": [1]}
    assert world.final is True
    assert background.lacking == "1 trial"
    assert str(background.failure) == "no such thing"


def test_wrong_credentials_are_told_before_the_first_trial(sweep: SweepRecord) -> None:
    def refuse() -> World:
        raise AccessError("http://here: MLflow refuses access")

    background = Background(refuse, QUICK)
    with pytest.raises(AccessError, match="refuses access"):
        background.admit()
    began = time.monotonic()
    background.close()
    assert time.monotonic() - began < 0.5


def test_a_silent_server_holds_the_sweep_up_for_a_bounded_time_only() -> None:
    free = threading.Event()

    def hang() -> World:
        free.wait(5)
        raise OutageError("gone")

    background = Background(hang, replace(QUICK, admission=0.1, end=0.2))
    began = time.monotonic()
    background.admit()
    background.close()
    assert time.monotonic() - began < 2
    assert background.lacking == ""
    free.set()


def test_a_search_that_grows_is_told(sweep: SweepRecord, make_task: MakeTask) -> None:
    world = World()
    background = open_background(world)
    background.begin(sweep, {})
    wait_until(lambda: background.compared)
    background.planned(replace(sweep, name="grown"))
    background.started(make_task("base0"))
    background.finish({}, {}, False)
    background.close()
    assert "planned grown" in world.calls
    assert world.final is False
