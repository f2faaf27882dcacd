"""MlflowTracker: a parent run per sweep and a child run per row and seed; the only writer of MLflow.

The record store is the truth and this is its mirror: `begin` compares the two and delivers whatever an earlier,
interrupted sweep could not, so the same command after a crash leaves no run missing, doubled or for ever RUNNING.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a sweep talks to its tracking server only
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
)

from orchestrator.errors import TrackingError
from orchestrator.execution.base import Task
from orchestrator.records import (
    AttemptRecord,
    Cell,
    Point,
    State,
    SweepRecord,
    read_points,
    read_trial_config,
    trial_folder,
)

__all__ = ["EXPERIMENT", "MlflowTracker", "create_database"]

for noisy in ("mlflow", "alembic"):  # after the import, which sets levels of its own
    logging.getLogger(noisy).setLevel(logging.ERROR)

EXPERIMENT = "contrast-sweep"
MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment in the UI's view for training runs, not the one for language models."""
STATUS = dict.fromkeys(State, "FAILED") | {
    State.DONE: "FINISHED",
    State.LOST: "KILLED",
    State.STOPPED: "KILLED",
    State.CANCELLED: "KILLED",
}
"""MLflow's word for how a run ended."""
SQLITE = "sqlite:///"
MAX_METRICS, MAX_PARAMS, MAX_TEXT = 1000, 100, 5000

CellKey = tuple[str, int, str]


class MlflowTracker:
    """Writes one sweep to the tracking store at `uri`; to be used from one thread.

    Raises TrackingError when the store refuses.
    """

    def __init__(self, uri: str, run_dir: str | Path) -> None:
        self.run_dir = run_dir
        self.children: dict[CellKey, str] = {}
        self.found: dict[str, Run] = {}
        """Child runs as they were when the sweep began; those that were brought up to the store since are gone."""
        self.open: set[str] = set()
        self.logged: dict[str, set[tuple[str, int]]] = {}
        self.cells: dict[str, list[Cell]] = defaultdict(list)
        self.sweep: SweepRecord
        self.factors: dict[str, Mapping[str, Any]] = {}
        self.parent: str
        try:
            create_database(uri)
            self.client = MlflowClient(tracking_uri=uri)
            self.experiment = self.open_experiment()
        except (MlflowException, OSError, sqlite3.Error) as error:
            raise TrackingError(f"{uri}: MLflow refuses ({first_line(error)})") from error
        use_write_ahead_log(uri)

    # -- a sweep's life

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Open the parent run, close what a dead driver left RUNNING, deliver what it could not."""
        self.planned(sweep)
        self.parent = self.open_parent()
        self.find_children()
        for cell in sweep.cells:
            record = outcomes.get(cell.trial_id)
            if record is not None and not self.holds(cell, record):
                self.replay(cell, record)
        self.count(outcomes)

    def planned(self, sweep: SweepRecord) -> None:
        """Learn which cells there are."""
        self.sweep = sweep
        self.factors = {row.label: row.factors for row in sweep.rows}
        self.cells = defaultdict(list)
        for cell in sweep.cells:
            self.cells[cell.trial_id].append(cell)

    def started(self, task: Task) -> None:
        """Open the child run of the trial's first cell; what a killed driver could not deliver goes there first."""
        run_id = self.open_child(self.cells[task.trial_id][0], read_trial_config(self.run_dir, task.trial_id))
        if task.attempt > 1:
            self.log_points(run_id, read_points(self.run_dir, task.trial_id))

    def reported(self, task: Task, point: Point) -> None:
        """Log the point's metrics, those that are not there yet."""
        self.log_points(self.children[key_of(self.cells[task.trial_id][0])], [point])

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Log the final scalars and close the run; cells that share the trial get a run that points at it."""
        first, *others = self.cells[task.trial_id]
        self.log_pictures(self.children[key_of(first)], task.trial_id)
        self.close_child(self.children[key_of(first)], record)
        for cell in others:
            self.link(cell, record, self.children[key_of(first)])

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Attach the tables, write the Markdown one into the note, close the parent and what an interrupt left."""
        unfinished = "KILLED" if self.open else "FAILED"
        for run_id in self.open:
            self.client.set_terminated(run_id, "KILLED")
        for path in artifacts.values():
            self.client.log_artifact(self.parent, str(path), "tables")
        if "markdown" in artifacts:
            table = artifacts["markdown"].read_text(encoding="utf-8")
            self.client.set_tag(self.parent, MLFLOW_RUN_NOTE, f"{self.sweep.question}\n\n{table}"[:MAX_TEXT])
        self.count(outcomes)
        self.client.set_terminated(self.parent, "FINISHED" if completed else unfinished)

    # -- the parent

    def open_experiment(self) -> str:
        """Id of the experiment all sweeps share; creates the database of a fresh store on the way."""
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(self.client.create_experiment(EXPERIMENT, tags=MODEL_TRAINING))

    def open_parent(self) -> str:
        """Id of this sweep's parent run, RUNNING: the one that is there, else a new one."""
        found = self.search(f"tags.sweep = '{self.sweep.name}' AND tags.role = 'sweep'")
        run = next(iter(found), None)
        if run is None:
            tags = {
                "role": "sweep",
                "sweep": self.sweep.name,
                "method": self.sweep.method,
                MLFLOW_RUN_NOTE: self.sweep.question[:MAX_TEXT],
                MLFLOW_SOURCE_NAME: "orchestrator.sweep",
            }
            run = self.client.create_run(self.experiment, run_name=self.sweep.name, tags=tags)
        if not run.data.params:
            params = {"method": self.sweep.method, "recipe": self.sweep.recipe, "metric": self.sweep.metric}
            self.client.log_batch(run.info.run_id, params=[Param(key, value) for key, value in params.items()])
        self.client.update_run(run.info.run_id, status="RUNNING")
        self.client.log_text(run.info.run_id, self.sweep.spec, "spec.yaml")
        self.client.log_dict(run.info.run_id, self.sweep.to_json(), "sweep.json")
        return str(run.info.run_id)

    def count(self, outcomes: Mapping[str, AttemptRecord]) -> None:
        """How many trials are planned, done and not done, as metrics of the parent."""
        states = [outcomes[trial_id].state for trial_id in self.cells if trial_id in outcomes]
        done = sum(state is State.DONE for state in states)
        counts = {"trials/planned": len(self.cells), "trials/done": done, "trials/failed": len(states) - done}
        now = milliseconds(time.time())
        self.client.log_batch(self.parent, metrics=[Metric(key, value, now, 0) for key, value in counts.items()])

    # -- the children

    def find_children(self) -> None:
        """Learn which child runs there are; those a dead driver left RUNNING become KILLED."""
        for run in self.search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent}'"):
            tags = run.data.tags
            key = (tags.get("row", ""), int(tags.get("seed", -1)), tags.get("trial_id", ""))
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
            self.found[run.info.run_id] = run
            self.children[key] = run.info.run_id

    def holds(self, cell: Cell, record: AttemptRecord) -> bool:
        """Whether the cell's run was closed for this very record: the status alone may be a dead driver's KILLED."""
        run = self.found.get(self.children.get(key_of(cell), ""))
        if run is None:
            return False
        tags = run.data.tags
        closed = (run.info.status, tags.get("state"), tags.get("attempt"))
        return closed == (STATUS[record.state], record.state.value, str(record.attempt))

    def open_child(self, cell: Cell, config: Mapping[str, Any], **tags: str) -> str:
        """Id of the cell's run, RUNNING: the one that is there, else a new one."""
        key = key_of(cell)
        if key in self.children:
            self.client.update_run(self.children[key], status="RUNNING")
            run = self.found.get(self.children[key])
            if run is not None and len(run.data.params) < 1 + len(config):  # its driver died before it wrote them
                self.log_params(self.children[key], {"row": cell.row, **config})
        else:
            factors = self.factors[cell.row]
            run = self.client.create_run(
                self.experiment,
                run_name=f"{cell.row} · seed {cell.seed}",
                tags={
                    MLFLOW_PARENT_RUN_ID: self.parent,
                    MLFLOW_SOURCE_NAME: "orchestrator.sweep",
                    "role": "trial",
                    "sweep": self.sweep.name,
                    "row": cell.row,
                    "seed": str(cell.seed),
                    "trial_id": cell.trial_id,
                    **{f"factor.{name}": str(value)[:MAX_TEXT] for name, value in factors.items()},
                    **tags,
                },
            )
            self.children[key] = run.info.run_id
            self.logged[run.info.run_id] = set()
            self.log_params(run.info.run_id, {"row": cell.row, **config})
        self.open.add(self.children[key])
        return self.children[key]

    def replay(self, cell: Cell, record: AttemptRecord) -> None:
        """Bring the run of a trial that ended earlier up to the record store."""
        full_run = self.find_full_run(cell)
        if full_run is not None:
            self.link(cell, record, full_run)
            return
        run_id = self.open_child(cell, read_trial_config(self.run_dir, cell.trial_id))
        self.log_points(run_id, read_points(self.run_dir, cell.trial_id))
        self.log_pictures(run_id, cell.trial_id)
        self.close_child(run_id, record)

    def find_full_run(self, cell: Cell) -> str | None:
        """Id of a finished run elsewhere that already holds the trial's curves."""
        own = self.children.get(key_of(cell))
        for run in self.search(f"tags.trial_id = '{cell.trial_id}' AND attributes.status = 'FINISHED'"):
            if run.info.run_id != own and "reused_from" not in run.data.tags:
                return str(run.info.run_id)
        return None

    def link(self, cell: Cell, record: AttemptRecord, full_run: str) -> None:
        """A run for a cell whose trial was trained for another: final scalars, and a tag that says where."""
        config = read_trial_config(self.run_dir, cell.trial_id)
        self.close_child(self.open_child(cell, config, reused_from=full_run), record)

    def close_child(self, run_id: str, record: AttemptRecord) -> None:
        """Final scalars, how it ended, and the end."""
        tags = {
            "attempt": str(record.attempt),
            "state": record.state.value,
            MLFLOW_GIT_COMMIT: record.environment.get("commit", ""),
            **{key: record.environment[key] for key in ("host", "device") if key in record.environment},
        }
        if record.error is not None:
            tags["failure"] = f"{record.error.kind}: {record.error.message}"[:MAX_TEXT]
        stamp = milliseconds(record.ended_at)
        metrics = [Metric(key, value, stamp, 0) for key, value in record.metrics.items() if key.startswith(FINAL)]
        self.write_metrics(run_id, metrics)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items() if value])
        self.client.set_terminated(run_id, STATUS[record.state], end_time=stamp)
        self.logged.pop(run_id, None)
        self.open.discard(run_id)

    # -- writing

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Parameters in batches within MLflow's limits."""
        entries = [Param(key, as_text(value)[:MAX_TEXT]) for key, value in params.items()]
        for start in range(0, len(entries), MAX_PARAMS):
            self.client.log_batch(run_id, params=entries[start : start + MAX_PARAMS])

    def log_points(self, run_id: str, points: Iterable[Point]) -> None:
        """The metrics of `points` that the run does not hold yet: a resumed trial repeats some steps."""
        if run_id not in self.logged:
            self.logged[run_id] = set(self.read_logged(run_id))
        logged = self.logged[run_id]
        metrics = []
        for point in points:
            for key, value in point.metrics.items():
                if (key, point.step) not in logged:
                    logged.add((key, point.step))
                    metrics.append(Metric(key, value, milliseconds(point.time), point.step))
        self.write_metrics(run_id, metrics)

    def log_pictures(self, run_id: str, trial_id: str) -> None:
        """The pictures a finished trial has left in its folder, as artifacts."""
        for path in sorted((trial_folder(self.run_dir, trial_id) / "pictures").glob("*.png")):
            self.client.log_artifact(run_id, str(path), "pictures")

    def write_metrics(self, run_id: str, metrics: list[Metric]) -> None:
        """Metrics in batches within MLflow's limits."""
        for start in range(0, len(metrics), MAX_METRICS):
            self.client.log_batch(run_id, metrics=metrics[start : start + MAX_METRICS])

    def read_logged(self, run_id: str) -> Iterator[tuple[str, int]]:
        """Which (metric, step) a run already holds."""
        for key in self.client.get_run(run_id).data.metrics:
            for metric in self.client.get_metric_history(run_id, key):
                yield key, metric.step

    def search(self, condition: str) -> Iterator[Run]:
        """All runs of the experiment that meet `condition`, newest first, page by page."""
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment], condition, max_results=1000, order_by=["start_time DESC"], page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return


FINAL = ("final/", "cost/")
"""Scalars logged once, at the end; the curves hold the rest."""


def key_of(cell: Cell) -> CellKey:
    """What makes a child run the run of this cell: a row that was changed gets a new one."""
    return cell.row, cell.seed, cell.trial_id


def as_text(value: Any) -> str:
    """A config value as a person would type it."""
    return value if isinstance(value, str) else json.dumps(value)


def milliseconds(seconds: float) -> int:
    """MLflow's clock."""
    return int(seconds * 1000)


def first_line(error: Exception) -> str:
    """An exception in one line of bounded length."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def create_database(uri: str) -> None:
    """Make the SQLite file of a store that has none; it gets its name when its schema is complete.

    MLflow cannot open a database whose creation, which takes seconds, a SIGKILL has cut short.
    """
    path = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE) or "?" in uri or path.exists() or not path.parent.is_dir():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        whole = Path(folder).resolve() / path.name
        MlflowClient(tracking_uri=f"{SQLITE}{whole}").search_experiments()
        with suppress(FileExistsError):  # another process was faster
            os.link(whole, path)


def use_write_ahead_log(uri: str) -> None:
    """Let readers (the UI) and the one writer of a SQLite store work at the same time (field.md, pitfall 4)."""
    if uri.startswith(SQLITE):
        with closing(sqlite3.connect(uri.removeprefix(SQLITE))) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
