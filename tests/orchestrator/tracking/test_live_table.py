"""The table of a running sweep: early, and not too often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.running.task import Task
from orchestrator.store.records import AttemptRecord, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.live_table import TableTracker


class Written:
    """What was to be written, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.tables: list[tuple[str, set[str]]] = []

    def __call__(self, results: SweepResults) -> Mapping[str, Path]:
        self.tables.append((results.sweep.name, set(results.outcomes)))
        return {}


def test_the_first_end_is_written_at_once_and_the_next_after_a_pause(
    sweep: SweepRecord, make_task: Callable[..., Task], make_record: Callable[..., AttemptRecord]
) -> None:
    written = Written()
    tracker = TableTracker(written, pause_seconds=5.0, clock=lambda: written.now)
    tracker.begin(sweep, {"base0": make_record("base0")})
    for second, trial_id in ((1.0, "full0"), (3.0, "base1"), (6.0, "full1")):
        written.now = second
        tracker.started(make_task(trial_id))
        tracker.ended(make_task(trial_id), make_record(trial_id))
    tracker.finish({}, {}, completed=True)
    everything = {"base0", "full0", "base1", "full1"}
    assert written.tables == [("tiny", {"base0", "full0"}), ("tiny", everything)]
