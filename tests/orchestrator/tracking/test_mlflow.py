"""The MLflow mirror: complete, without doubles, and whole again after a crash."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from orchestrator.errors import TrackingError
from orchestrator.execution.base import Task
from orchestrator.records import AttemptRecord, Point, State, SweepRecord
from orchestrator.store import RecordStore
from orchestrator.tracking.mlflow import EXPERIMENT, MlflowTracker, create_database

MakeRecord = Callable[..., AttemptRecord]
MakeTask = Callable[..., Task]

CONFIG = {"seed": 0, "data.name": "camvid", "data.crop": [96, 128], "optim.lr": 0.01}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's schema; creating one takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


class World:
    """A store and an MLflow database that sweeps are played into."""

    def __init__(self, folder: Path, migrated: Path) -> None:
        (folder / "mlflow.db").write_bytes(migrated.read_bytes())
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.store = RecordStore(folder / "runs")
        self.client = MlflowClient(tracking_uri=self.uri)

    def tracker(self) -> MlflowTracker:
        return MlflowTracker(self.uri, self.store.run_dir)

    def train(self, tracker: MlflowTracker, task: Task, record: AttemptRecord, *steps: int) -> None:
        self.begin(tracker, task, *steps)
        self.store.end(record)
        tracker.ended(task, record)

    def begin(self, tracker: MlflowTracker, task: Task, *steps: int) -> None:
        self.store.start(task.trial_id, task.attempt, CONFIG, time=100.0)
        tracker.started(task)
        for step in steps:
            point = Point(step=step, metrics={"train/loss": 1 / step}, time=100.0 + step, attempt=task.attempt)
            self.store.append(task.trial_id, point)
            tracker.reported(task, point)

    def outcomes(self, sweep: SweepRecord) -> dict[str, AttemptRecord]:
        return self.store.outcomes(cell.trial_id for cell in sweep.cells)

    def runs(self, role: str) -> list[Run]:
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id], f"tags.role = '{role}'"))

    def child(self, row: str, seed: int) -> Run:
        (run,) = [
            run for run in self.runs("trial") if run.data.tags["row"] == row and run.data.tags["seed"] == str(seed)
        ]
        return run

    def curve(self, run: Run, key: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, key)
        return [(metric.step, metric.value) for metric in history]


@pytest.fixture
def world(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, migrated)


def test_a_sweep_is_a_parent_with_a_child_per_row_and_seed(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord, tmp_path: Path
) -> None:
    tracker = world.tracker()
    tracker.begin(sweep, {})
    for cell in sweep.cells:
        record = make_record(cell.trial_id, final__miou=0.5, contrast__purity=1.0)
        world.train(tracker, make_task(cell.trial_id), record, 10, 20)
    table = tmp_path / "table.md"
    table.write_text("| a | b |")
    tracker.finish(world.outcomes(sweep), {"markdown": table}, completed=True)

    (parent,) = world.runs("sweep")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "tiny"
    assert parent.data.metrics == {"trials/planned": 4, "trials/done": 4, "trials/failed": 0}
    assert parent.data.tags["mlflow.note.content"] == "Does it work?\n\n| a | b |"
    artifacts = {item.path for item in world.client.list_artifacts(parent.info.run_id)}
    assert artifacts == {"spec.yaml", "sweep.json", "tables"}

    children = world.runs("trial")
    assert len(children) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    child = world.child("without", 1)
    assert child.info.status == "FINISHED"
    assert child.data.params == {
        "row": "without",
        "seed": "0",
        "data.name": "camvid",
        "data.crop": "[96, 128]",
        "optim.lr": "0.01",
    }
    assert child.data.tags["factor.contrast.source"] == "none"
    assert child.data.tags["trial_id"] == "base1"
    assert child.data.tags["mlflow.source.git.commit"] == "abc"
    assert world.curve(child, "train/loss") == [(10, 0.1), (20, 0.05)]
    assert child.data.metrics["final/miou"] == 0.5
    assert "contrast/purity" not in child.data.metrics, "curves come from points, not from the record"


def test_a_killed_driver_leaves_no_double_and_nothing_running(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    first = world.tracker()
    first.begin(sweep, {})
    world.train(first, make_task("base0"), make_record("base0", final__miou=0.5), 10, 20)
    world.begin(first, make_task("full0"), 10, 20)
    # killed here; full1 was left RUNNING by it too, and its record reached the store alone
    world.begin(first, make_task("full1"), 10)
    world.store.append("full1", Point(step=20, metrics={"train/loss": 0.05}, time=120.0))
    world.store.end(make_record("full1", final__miou=0.7))

    second = world.tracker()
    second.begin(sweep, world.outcomes(sweep))
    assert {run.info.status for run in world.runs("trial")} <= {"FINISHED", "KILLED"}
    full1 = world.child("with | pipe", 1)
    assert full1.info.status == "FINISHED"
    assert full1.data.metrics["final/miou"] == 0.7
    assert world.curve(full1, "train/loss") == [(10, 0.1), (20, 0.05)]

    resumed = make_task("full0", attempt=2)
    world.train(second, resumed, make_record("full0", attempt=2, final__miou=0.6), 20, 30)
    world.train(second, make_task("base1"), make_record("base1", final__miou=0.4), 10)
    second.finish(world.outcomes(sweep), {}, completed=True)
    assert len(world.runs("sweep")) == 1
    children = world.runs("trial")
    assert len(children) == 4
    assert {run.info.status for run in children} == {"FINISHED"}
    assert world.curve(world.child("with | pipe", 0), "train/loss") == [(10, 0.1), (20, 0.05), (30, 1 / 30)]


def test_a_sweep_that_mlflow_never_saw_is_replayed_whole(
    world: World, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    for cell in sweep.cells:
        world.store.start(cell.trial_id, 1, CONFIG, time=100.0)
        world.store.append(cell.trial_id, Point(step=10, metrics={"val/miou": 0.25}, time=101.0))
        world.store.end(make_record(cell.trial_id, final__miou=0.5))
    for _ in range(2):
        tracker = world.tracker()
        tracker.begin(sweep, world.outcomes(sweep))
        tracker.finish(world.outcomes(sweep), {}, completed=True)
    assert len(world.runs("trial")) == 4, "the second time there is nothing left to deliver"
    assert world.curve(world.child("without", 0), "val/miou") == [(10, 0.25)]


def test_a_trial_of_another_sweep_appears_here_as_a_link(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    first = world.tracker()
    first.begin(sweep, {})
    for cell in sweep.cells:
        world.train(first, make_task(cell.trial_id), make_record(cell.trial_id, final__miou=0.5), 10)
    first.finish(world.outcomes(sweep), {}, completed=True)
    original = world.child("without", 0)

    values = sweep.to_json() | {"name": "other", "cells": list(sweep.to_json()["cells"][:1])}
    other = SweepRecord.from_json(values)
    second = world.tracker()
    second.begin(other, world.outcomes(other))
    second.finish(world.outcomes(other), {}, completed=True)
    (link,) = [run for run in world.runs("trial") if run.data.tags["sweep"] == "other"]
    assert link.data.tags["reused_from"] == original.info.run_id
    assert link.data.metrics == {"final/miou": 0.5}
    assert link.info.status == "FINISHED"


def test_a_failed_trial_says_why(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    tracker = world.tracker()
    tracker.begin(sweep, {})
    world.train(tracker, make_task("full0"), make_record("full0", state=State.USER_ERROR), 10)
    world.begin(tracker, make_task("full1"), 10)
    world.begin(tracker, make_task("base1"))  # opened, nothing logged yet
    tracker.finish(world.outcomes(sweep), {}, completed=False)
    failed = world.child("with | pipe", 0)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["failure"] == "ValueError: broken"
    assert world.child("with | pipe", 1).info.status == "KILLED", "interrupted in mid-run"
    assert world.child("without", 1).info.status == "KILLED"
    assert world.runs("sweep")[0].info.status == "KILLED"


def test_the_database_lets_readers_in_while_it_is_written(world: World) -> None:
    world.tracker()
    with closing(sqlite3.connect(world.uri.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_store_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="MLflow refuses"):
        MlflowTracker("gopher://nowhere", tmp_path)


def test_the_pictures_of_a_trial_are_artifacts_also_when_replayed(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    task, record = make_task("base0"), make_record("base0", final__miou=0.5)
    tracker = world.tracker()
    tracker.begin(sweep, {})
    folder = world.store.workdir("base0") / "pictures"
    folder.mkdir(parents=True)
    (folder / "sheet.png").write_bytes(b"png")
    world.begin(tracker, task, 1)
    world.store.end(record)  # and the driver dies before MLflow hears of it

    world.tracker().begin(sweep, world.outcomes(sweep))

    found = world.client.list_artifacts(world.child("without", 0).info.run_id, "pictures")
    assert [item.path for item in found] == ["pictures/sheet.png"]


def test_points_that_a_killed_driver_kept_to_itself_arrive_with_the_next_attempt(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    first = world.tracker()
    first.begin(sweep, {})
    world.begin(first, make_task("full0"), 10)
    world.store.append("full0", Point(step=20, metrics={"train/loss": 0.05}, time=120.0))
    # killed here, after a checkpoint at step 20: no later attempt reports that step

    second = world.tracker()
    second.begin(sweep, {})
    world.train(second, make_task("full0", attempt=2), make_record("full0", attempt=2), 30)
    assert world.curve(world.child("with | pipe", 0), "train/loss") == [(10, 0.1), (20, 0.05), (30, 1 / 30)]


def test_a_driver_killed_while_it_catches_up_leaves_that_to_the_next(
    world: World, sweep: SweepRecord, make_task: MakeTask, make_record: MakeRecord
) -> None:
    first = world.tracker()
    first.begin(sweep, {})
    world.begin(first, make_task("full0"), 10)
    world.store.append("full0", Point(step=20, metrics={"train/loss": 0.05}, time=120.0))
    world.store.end(make_record("full0", state=State.STOPPED))  # KILLED in MLflow, as is what a dead driver left
    second = world.tracker()
    second.planned(sweep)
    second.parent = second.open_parent()
    second.find_children()  # and dies

    world.tracker().begin(sweep, world.outcomes(sweep))
    stopped = world.child("with | pipe", 0)
    assert (stopped.info.status, stopped.data.tags["state"]) == ("KILLED", "stopped")
    assert world.curve(stopped, "train/loss") == [(10, 0.1), (20, 0.05)]


def test_a_run_whose_driver_died_before_its_parameters_were_written_gets_them(
    world: World, sweep: SweepRecord, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    first = world.tracker()
    first.begin(sweep, {})
    monkeypatch.setattr(first, "log_params", die)
    with pytest.raises(KeyboardInterrupt):
        world.begin(first, make_task("full0"))
    assert world.child("with | pipe", 0).data.params == {}

    second = world.tracker()
    second.begin(sweep, {})
    world.begin(second, make_task("full0", attempt=2))
    assert set(world.child("with | pipe", 0).data.params) == {"row", *CONFIG}


class Creating:
    """Stands for a client that makes its database in two steps; the second may be interrupted."""

    dies = True

    def __init__(self, tracking_uri: str) -> None:
        self.path = Path(tracking_uri.removeprefix("sqlite:///"))
        self.path.write_text("half")

    def search_experiments(self) -> None:
        if self.dies:
            raise KeyboardInterrupt
        self.path.write_text("whole")


def test_a_database_has_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow refuses for ever a database whose creation a SIGKILL cut short."""
    path = tmp_path / "mlflow.db"
    monkeypatch.setattr("orchestrator.tracking.mlflow.MlflowClient", Creating)
    with pytest.raises(KeyboardInterrupt):
        create_database(f"sqlite:///{path}")
    assert not path.exists()
    monkeypatch.setattr(Creating, "dies", False)
    create_database(f"sqlite:///{path}")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.setattr(Creating, "dies", True)
    create_database(f"sqlite:///{path}")  # one that is there is left alone
    create_database("http://127.0.0.1:1")
    create_database(f"sqlite:///{tmp_path / 'nowhere' / 'mlflow.db'}")  # MLflow says what is wrong
