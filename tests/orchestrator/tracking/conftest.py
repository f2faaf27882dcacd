"""A run directory and an MLflow database that sweeps are mirrored into."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.mirror import Mirror
from orchestrator.tracking.mlflow_store import EXPERIMENT, Server

CONFIG = {"seed": 0, "data.name": "camvid", "data.crop": [96, 128], "optim.lr": 0.01, "schedule.steps": 30}


class World:
    """The store, the database, and a sweep's life as the driver and its mirror live it."""

    def __init__(self, folder: Path, migrated: Path) -> None:
        (folder / "mlflow.db").write_bytes(migrated.read_bytes())
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.store = RecordStore(folder / "runs")
        self.client = MlflowClient(tracking_uri=self.uri)

    def mirror(self) -> Mirror:
        return Mirror(Server(self.uri), self.store)

    def train(self, mirror: Mirror, task: Task, record: AttemptRecord, *steps: int) -> None:
        self.begin(mirror, task, *steps)
        self.store.end(record)
        mirror.deliver(task.trial_id, record)

    def begin(self, mirror: Mirror, task: Task, *steps: int, config: Mapping[str, Any] = CONFIG) -> None:
        facts = {"data": "d" * 64, "result_version": 2}
        self.store.start(task.trial_id, task.attempt, dict(config), time=100.0, facts=facts)
        mirror.deliver(task.trial_id, None)
        for step in steps:
            point = Point(step=step, metrics={"train/loss": 1 / step}, time=100.0 + step, attempt=task.attempt)
            self.store.append(task.trial_id, point)
            mirror.deliver(task.trial_id, None)

    def catch_up(self, sweep: SweepRecord) -> list[str]:
        """What a sweep does that has nothing to train; returns what was delivered."""
        self.store.write_sweep(sweep)
        delivery, server = Delivery(RunDirectory(self.store.location), sweep.name), Server(self.uri)
        delivery.open(server)
        lacking = list(delivery.pending)
        delivery.finish({}, completed=True)
        assert delivery.round(server)
        assert delivery.finished
        return lacking

    def results(self, sweep: SweepRecord) -> SweepResults:
        return SweepResults(sweep=sweep, outcomes=self.store.outcomes(sweep.trial_ids))

    def runs(self, role: str) -> list[Run]:
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:  # the follower creates it
            return []
        return list(self.client.search_runs([experiment.experiment_id], f"tags.role = '{role}'"))

    def child(self, row: str, seed: int, sweep: str = "tiny") -> Run:
        wanted = {"row": row, "seed": str(seed), "sweep": sweep}
        (run,) = [run for run in self.runs("trial") if wanted.items() <= run.data.tags.items()]
        return run

    def curve(self, run: Run, key: str) -> list[tuple[int, float]]:
        history = self.client.get_metric_history(run.info.run_id, key)
        return [(metric.step, metric.value) for metric in history]

    def text(self, run: Run, name: str) -> str:
        path = self.client.download_artifacts(run.info.run_id, name, str(self.folder))
        return Path(path).read_text(encoding="utf-8")

    def json(self, run: Run, name: str) -> Any:
        return json.loads(self.text(run, name))


@pytest.fixture
def world(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path, migrated)
