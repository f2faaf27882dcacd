"""A tracker that fails in any of its methods ends itself, and nothing else."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.running.driver import Driver
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from tests.orchestrator.running.test_driver import Scripted
from trainer.config import Runtime, TrainConfig

EVENTS = ("planned", "begin", "started", "reported", "ended", "finish")
FAILURES = [
    ValueError("two\nlines"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    UnicodeEncodeError("ascii", "±", 0, 1, "ordinal not in range(128)"),
    OSError(errno.ENOSPC, "No space left on device"),
    AttributeError("no such method"),
    SystemExit(1),  # what rich raises when nobody reads its output
]


class Recording:
    """A tracker that notes what it is told, and fails in one method."""

    def __init__(self, failing: str = "", error: BaseException | None = None) -> None:
        self.failing, self.error = failing, error
        self.events: list[str] = []

    def __getattr__(self, event: str) -> Callable[..., None]:
        if event not in EVENTS:
            raise AttributeError(event)

        def note(*values: Any) -> None:
            self.events.append(event)
            if event == self.failing and self.error is not None:
                raise self.error

        return note


@pytest.fixture
def plan(sweep: SweepRecord) -> SweepPlan:
    ids = dict.fromkeys(cell.trial_id for cell in sweep.cells)
    return SweepPlan(record=sweep, trials=tuple(Trial(trial_id=key, config=TrainConfig()) for key in ids))


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "runs")


def run(driver: Driver, plan: SweepPlan, make_record: Callable[..., AttemptRecord]) -> Mapping[str, AttemptRecord]:
    """Three trials, then the end of the sweep."""
    for tracker in driver.trackers:
        tracker.planned(plan.record)
    outcomes = driver.run(plan, {}, Runtime(), lambda: Scripted(make_record))
    driver.finish({}, completed=True)
    return outcomes


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("failing", EVENTS)
def test_the_first_failure_is_one_line_and_the_sweep_continues(
    failing: str,
    error: BaseException,
    store: RecordStore,
    plan: SweepPlan,
    make_record: Callable[..., AttemptRecord],
    caplog: pytest.LogCaptureFixture,
) -> None:
    healthy, broken = Recording(), Recording(failing, error)
    driver = Driver(store, [broken, healthy])
    outcomes = run(driver, plan, make_record)
    assert {record.state for record in outcomes.values()} == {State.DONE}
    assert len(outcomes) == len(plan.trials)
    per_trial = ["started", "reported", "reported", "ended"]
    assert healthy.events == ["planned", "begin", *per_trial * len(plan.trials), "finish"]
    reached = healthy.events[: healthy.events.index(failing) + 1]
    assert broken.events == (reached if failing == "finish" else [*reached, "finish"])
    (line,) = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert line.startswith(f"Recording.{failing} failed (test_guarded_tracker.py:")
    assert line.endswith("; the sweep continues without it")
    assert "\n" not in line


def test_a_second_ctrl_c_passes_through_a_tracker(
    store: RecordStore, plan: SweepPlan, make_record: Callable[..., AttemptRecord]
) -> None:
    driver = Driver(store, [Recording("reported", KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        run(driver, plan, make_record)


def test_the_line_holds_no_secret(
    store: RecordStore,
    plan: SweepPlan,
    make_record: Callable[..., AttemptRecord],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("ALERT_TOKEN", "correct-horse")
    error = ConnectionError("https://me:battery@host refused correct-horse")
    run(Driver(store, [Recording("planned", error)]), plan, make_record)
    (line,) = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert "https://host refused ***" in line
    assert "battery" not in line


class Prepared(Recording):
    """A tracker that also wants to know what is being started."""

    def preparing(self, what: str) -> None:
        self.events.append(what)
        if self.error is not None:
            raise self.error


def test_only_trackers_that_want_to_know_are_told_what_is_being_started(
    store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    plain, told, broken = Recording(), Prepared(), Prepared(error=ValueError("no terminal"))
    driver = Driver(store, [plain, told, broken])
    driver.preparing("starting Ray")
    driver.preparing("")
    assert (plain.events, told.events, broken.events) == ([], ["starting Ray", ""], ["starting Ray"])
    assert [entry.getMessage().split(" failed")[0] for entry in caplog.records] == ["Prepared.preparing"]
