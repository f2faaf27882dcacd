"""What a delivery does that a whole follower does not show: object stores, where points arrive late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.point_log import ChunkedPoints
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.mlflow_store import Server
from tests.orchestrator.tracking.conftest import CONFIG, World


def test_points_that_an_object_store_gets_later_are_delivered(
    world: World, memory: str, sweep: SweepRecord, make_record: Callable[..., AttemptRecord]
) -> None:
    store = RecordStore(memory)
    assert isinstance(store.point_log, ChunkedPoints)
    store.point_log.delay_seconds = 3600.0
    store.write_sweep(sweep)
    now = [0.0]
    delivery, server = Delivery(RunDirectory(memory), sweep.name, clock=lambda: now[0]), Server(world.uri)

    def told(step: int) -> None:
        store.append("base0", Point(step=step, metrics={"train/loss": 0.5}, time=100.0 + step))
        delivery.trial_changed("base0", running=True)
        assert delivery.round(server)

    def steps() -> list[int]:
        return [step for step, _ in world.curve(world.child("without", 0), "train/loss")]

    store.start("base0", 1, CONFIG, time=100.0)
    told(1)
    assert steps() == []
    assert delivery.pending, "it has not arrived, so the trial is looked at again"
    store.point_log.write_all()
    now[0] += delivery.pause_seconds
    assert delivery.round(server)
    assert steps() == [1]
    assert not delivery.pending
    told(2)
    store.end(make_record("base0", final__miou=0.5))
    delivery.trial_changed("base0", running=False)
    assert delivery.round(server)
    assert steps() == [1, 2]
    assert not delivery.pending
    assert world.child("without", 0).info.status == "FINISHED"
    store.point_log.close()


def test_only_new_bytes_of_a_curve_are_read(world: World, sweep: SweepRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store.write_sweep(sweep)
    directory = RunDirectory(world.store.location)
    delivery, server = Delivery(directory, sweep.name), Server(world.uri)
    read = directory.files.read
    lengths: list[int] = []

    def measured(key: str, start: int = 0) -> bytes | None:
        content = read(key, start)
        if key.endswith("points.jsonl"):
            lengths.append(len(content or b""))
        return content

    world.store.start("base0", 1, CONFIG, time=100.0)
    for step in range(5):
        world.store.append("base0", Point(step=step, metrics={"train/loss": 0.5}, time=100.0))
        delivery.trial_changed("base0", running=True)
        delivery.round(server)
        monkeypatch.setattr(directory.files, "read", measured)
    assert len(lengths) == 4
    assert max(lengths) == min(lengths) > 0, "a line each"
    assert len(world.curve(world.child("without", 0), "train/loss")) == 5
