"""Calls handed to a thread: all of them, in order, and a failure that hurts nobody."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.errors import TrackingError
from orchestrator.execution.base import Task
from orchestrator.records import AttemptRecord, Point, SweepRecord
from orchestrator.tracking.background import Background


class Slow:
    """A tracker that takes its time and may break."""

    def __init__(self, break_at: str = "") -> None:
        self.calls: list[str] = []
        self.break_at = break_at

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            time.sleep(0.02)
            if name == self.break_at:
                raise ConnectionError("gone")
            self.calls.append(name)

        return call


def drive(background: Background, sweep: SweepRecord, task: Task, record: AttemptRecord) -> float:
    """Seconds the caller spent."""
    began = time.monotonic()
    background.begin(sweep, {})
    background.started(task)
    for step in range(20):
        background.reported(task, Point(step=step, metrics={}))
    background.ended(task, record)
    background.finish({}, {}, True)
    return time.monotonic() - began


def test_all_calls_arrive_in_order_and_the_caller_does_not_wait(
    sweep: SweepRecord, make_task: Callable[..., Task], make_record: Callable[..., AttemptRecord]
) -> None:
    slow = Slow()
    background = Background(lambda: slow)  # type: ignore[arg-type, return-value]
    spent = drive(background, sweep, make_task("a"), make_record("a"))
    assert spent < 0.1
    background.close()
    assert slow.calls == ["begin", "started", *["reported"] * 20, "ended", "finish"]
    assert background.failure is None


def test_a_failure_is_kept_and_stops_the_mirror_only(
    sweep: SweepRecord, make_task: Callable[..., Task], make_record: Callable[..., AttemptRecord]
) -> None:
    slow = Slow(break_at="ended")
    background = Background(lambda: slow)  # type: ignore[arg-type, return-value]
    drive(background, sweep, make_task("a"), make_record("a"))
    background.close()
    assert isinstance(background.failure, ConnectionError)
    assert slow.calls[-1] == "reported"


def test_a_tracker_that_cannot_be_built_is_a_failure_too() -> None:
    def refuse() -> Slow:
        raise TrackingError("sqlite:///nowhere: MLflow refuses")

    background = Background(refuse)  # type: ignore[arg-type]
    background.close()
    assert isinstance(background.failure, TrackingError)


def test_close_gives_up_after_its_timeout(sweep: SweepRecord) -> None:
    class Stuck(Slow):
        def begin(self, *arguments: Any) -> None:
            time.sleep(5)

    background = Background(Stuck)  # type: ignore[arg-type]
    background.begin(sweep, {})
    background.close(timeout_seconds=0.1)
    with pytest.raises(TimeoutError, match=r"not finished after 0\.1 s"):
        raise background.failure or AssertionError("no failure")
