"""JSON lines for scripts."""

import io
import json
from collections.abc import Callable
from pathlib import Path

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.json_events import EventTracker


def test_each_event_is_one_json_line(
    sweep: SweepRecord, make_task: Callable[..., Task], make_record: Callable[..., AttemptRecord]
) -> None:
    stream = io.StringIO()
    tracker = EventTracker(stream)
    tracker.begin(sweep, {})
    tracker.started(make_task("full0"))
    tracker.reported(make_task("full0"), Point(step=5, metrics={"val/miou": 0.5}))
    tracker.ended(make_task("full0"), make_record("full0", final__miou=0.5))
    tracker.finish({}, {"csv": Path("table.csv")}, False)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["begin", "started", "reported", "ended", "finish"]
    assert events[0]["trials"] == 4
    assert events[2]["metrics"] == {"val/miou": 0.5}
    assert events[3]["state"] == "done"
    assert events[4] == {"event": "finish", "completed": False, "files": {"csv": "table.csv"}}
