"""Mirror: a sweep in MLflow, a parent run and a child run per row and seed, brought up to the record store.

The store is the truth. `begin` compares the two and says which trials MLflow lacks; `deliver` brings one of them up
to date, from the points at hand or from the store, and may be repeated at any time: so a live sweep, the recovery
after an outage and `python -m orchestrator sync` are the same few calls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.store.records import AttemptRecord, PlannedRun, Point, State, SweepRecord
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.mlflow_store import RunFacts, Server
from orchestrator.tracking.sweep_run import Parent
from orchestrator.tracking.trial_files import TrialFiles
from orchestrator.tracking.trial_run import (
    IOU_TABLE,
    STATUS,
    CellKey,
    Reading,
    as_text,
    curve_only,
    final_readings,
    iou_table,
    key_of,
    last_step,
    link_readings,
    new_readings,
    outcome_tags,
)

__all__ = ["Mirror"]

PARENT, SOURCE = "mlflow.parentRunId", "mlflow.source.name"
TABLES_LOGGED = "mlflow.loggedArtifacts"
REUSED = "reused_from"
"""Tag of a run that stands for another one: its id."""
FAILURE = ("failure", "failure_kind", "failure_signature")
MODEL = "model"
"""Tag of a run with a logged model: its address."""
REMEMBERED = ("attempt", "state", REUSED, MODEL, *FAILURE)
"""Tags of a child that later decisions need."""


@dataclass(slots=True)
class Child:
    """What is known of a child run."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    """Those of `REMEMBERED`."""
    described: bool = False
    """It has its parameters and its data set."""
    fresh: bool = False
    """Made in this session: there is nothing in it to look up."""
    logged: set[tuple[str, int]] | None = None
    """Metric and step of each point it holds; None: unknown. Kept while the trial runs."""
    last: dict[str, Reading] = field(default_factory=dict)

    @property
    def link(self) -> str:
        """Id of the run it stands for; empty for a run with curves of its own."""
        return self.tags.get(REUSED, "")

    def holds(self, record: AttemptRecord) -> bool:
        """Whether it was brought to this end already: the status is written last."""
        attempt = (self.tags.get("attempt"), self.tags.get("state"))
        return self.status == STATUS[record.state] and attempt == (str(record.attempt), record.state.value)


class Mirror:
    """One sweep on one server; to be used from one thread. Every method raises TrackingError or StoreError."""

    def __init__(
        self,
        server: Server,
        run_dir: Path | str,
        live_table: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`live_table`: a Markdown file that somebody else keeps up to date while the sweep runs."""
        self.server = server
        self.files = TrialFiles(run_dir)
        self.live_table = live_table
        self.clock = clock
        self.sweep: SweepRecord
        self.cells: dict[str, list[PlannedRun]] = {}
        self.factors: dict[str, Mapping[str, Any]] = {}
        self.children: dict[CellKey, Child] = {}
        self.full: dict[str, str] = {}
        """By trial id the finished run that holds its curves, in this sweep or another."""
        self.parent: Parent

    # -- a sweep's life

    def begin(
        self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], running: Iterable[str] = ()
    ) -> list[str]:
        """Look at what MLflow has; returns the ids of the ended trials of which it lacks something.

        Runs of trials that are not `running`, but were left RUNNING by a driver that died, become KILLED.
        """
        self.planned(sweep)
        ours = f"tags.sweep = '{sweep.name}' AND tags.role"
        known = next(iter(self.server.runs(f"{ours} = 'sweep'")), None)
        self.parent = Parent.open(self.server, sweep, known, self.live_table, self.clock)
        self.children, self.full = {}, {}
        alive = set(running)
        for run in self.server.runs(f"{ours} = 'trial'"):
            self.meet(run, alive)
        self.find_elsewhere(outcomes)
        lacking = [trial_id for trial_id in self.cells if trial_id in outcomes and self.lacks(outcomes[trial_id])]
        self.parent.count(self.cells, outcomes, alive)
        return lacking

    def planned(self, sweep: SweepRecord) -> None:
        """Learn which cells there are."""
        self.sweep = sweep
        self.factors = {row.label: row.factors for row in sweep.rows}
        self.cells = {}
        for cell in sweep.cells:
            self.cells.setdefault(cell.trial_id, []).append(cell)
        if hasattr(self, "parent"):
            self.parent.sweep = sweep

    def deliver(self, trial_id: str, record: AttemptRecord | None, points: Sequence[Point] | None = None) -> None:
        """Bring a trial up to `points`, or (None) to all that the store has of it, and to its end if there is one."""
        if trial_id not in self.cells:
            return
        first, *others = self.cells[trial_id]
        own = self.children.get(key_of(first))
        full = self.full.get(trial_id)
        if full is not None and record is not None and (own is None or own.link):
            self.link(first, record, full)
        elif own is None or own.link or record is None or not own.holds(record):
            full = self.fill(first, record, points)
        else:
            full = own.run_id
        if record is not None and full is not None:
            for cell in others:
                self.link(cell, record, full)

    def refresh(self, outcomes: Mapping[str, AttemptRecord], running: Iterable[str]) -> None:
        """Counters and the provisional table, as far as it is time for them again."""
        self.parent.refresh(self.cells, outcomes, running)

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Attach the tables and figures, close what an interrupt left open, and the parent."""
        open_children = [child for child in self.children.values() if child.status == "RUNNING"]
        for child in open_children:
            self.end(child, "KILLED")
        self.parent.count(self.cells, outcomes, ())
        interrupted = bool(open_children) or any(item.state is State.CANCELLED for item in outcomes.values())
        self.parent.finish(outcomes, artifacts, "FINISHED" if completed else "KILLED" if interrupted else "FAILED")

    # -- what is there

    def meet(self, run: RunFacts, alive: set[str]) -> None:
        """Learn of a child run; of two for the same cell the newer one counts."""
        tags = run.tags
        key = (tags.get("row", ""), int(tags.get("seed", -1)), tags.get("trial_id", ""))
        remembered = {name: tags[name] for name in REMEMBERED if name in tags}
        child = Child(run.run_id, run.status, remembered, described=bool(run.params))
        if run.status == "RUNNING" and (key[2] not in alive or key in self.children):
            self.end(child, "KILLED")
        if key in self.children:
            return
        self.children[key] = child
        if run.status == "FINISHED" and not child.link:
            self.full.setdefault(key[2], run.run_id)
        if tags.get(PARENT) != self.parent.run_id:  # somebody deleted the parent
            self.server.log(run.run_id, tags={PARENT: self.parent.run_id})

    def find_elsewhere(self, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Learn which trials have their curves in runs of other sweeps; one listing, and only if any may have."""
        wanted = {
            trial_id
            for trial_id, record in outcomes.items()
            if record.state is State.DONE and trial_id in self.cells and trial_id not in self.full
        }
        if not wanted:
            return
        others = f"tags.role = 'trial' AND attributes.status = 'FINISHED' AND tags.sweep != '{self.sweep.name}'"
        for run in self.server.runs(others):
            trial_id = run.tags.get("trial_id", "")
            if trial_id in wanted and REUSED not in run.tags:
                self.full[trial_id] = run.run_id

    def lacks(self, record: AttemptRecord) -> bool:
        """Whether a run of an ended trial is missing, not at its end, or stands for one that is gone."""
        full = self.full.get(record.trial_id)
        for cell in self.cells[record.trial_id]:
            child = self.children.get(key_of(cell))
            if child is None or not child.holds(record) or (child.link and full is not None and child.link != full):
                return True
            if child.link and full is None and record.state is State.DONE:
                return True
        return False

    # -- children

    def fill(self, cell: PlannedRun, record: AttemptRecord | None, points: Sequence[Point] | None) -> str:
        """The cell's own run with the trial's curves, and its end; returns its id."""
        config = self.files.config(cell.trial_id)
        child = self.open(cell)
        params = self.describe(child, cell, config)
        if child.logged is None:  # of a run that was not watched from its start, the store knows what it should hold
            points = None
            self.look_up(child)
        logged = child.logged or set()
        found = RunDirectory(self.files.run_dir).points(cell.trial_id) if points is None else points
        readings = new_readings(found, logged, child.last)
        child.logged = logged
        if record is None:
            self.write(child, readings, params=params)
            return child.run_id
        curve = curve_only(record, child.last)
        tags = outcome_tags(record) | self.files.checkpoints(cell.trial_id) | {"curve_only": json.dumps(curve)}
        readings += final_readings(record, child.last, last_step(config, child.last))
        for name in FAILURE:
            if name in child.tags and not tags[name]:
                self.server.remove_tag(child.run_id, name)
        self.attach(child, record)
        if self.sweep.models != "none" and record.state is State.DONE:
            tags[MODEL] = child.tags.get(MODEL) or self.log_model(child, cell.trial_id, config)
        self.write(child, readings, tags, params)
        self.close(child, record, tags)
        if record.state is State.DONE:
            self.full[cell.trial_id] = child.run_id
        return child.run_id

    def link(self, cell: PlannedRun, record: AttemptRecord, full: str) -> None:
        """A run for a cell whose trial was trained for another one: final scalars, and a tag that says where."""
        child = self.children.get(key_of(cell))
        if child is not None and child.holds(record) and child.link == full:
            return
        config = self.files.config(cell.trial_id)
        child = self.open(cell, {REUSED: full})
        tags = outcome_tags(record) | self.files.checkpoints(cell.trial_id) | {REUSED: full}
        self.write(child, link_readings(record, config), tags, self.describe(child, cell, config))
        self.close(child, record, tags)

    def open(self, cell: PlannedRun, more: Mapping[str, str] | None = None) -> Child:
        """The cell's run, RUNNING: the one that is there, else a new one."""
        child = self.children.get(key_of(cell))
        if child is None:
            child = self.create(cell, more or {})
        if child.status != "RUNNING":
            self.server.reopen(child.run_id)
            child.status = "RUNNING"
        if child.link and not more:  # it stood for another run and is now to hold the curves itself
            self.server.remove_tag(child.run_id, REUSED)
            child.tags = {key: value for key, value in child.tags.items() if key != REUSED}
        return child

    def create(self, cell: PlannedRun, more: Mapping[str, str]) -> Child:
        """A new run, with all tags that are known before it is trained."""
        tags = {
            PARENT: self.parent.run_id,
            SOURCE: "orchestrator.sweep",
            "role": "trial",
            "sweep": self.sweep.name,
            "row": cell.row,
            "seed": str(cell.seed),
            "trial_id": cell.trial_id,
            "data_digest": self.files.data_digest(cell.trial_id),
            **{f"factor.{name}": as_text(value) for name, value in self.factors.get(cell.row, {}).items()},
            **more,
        }
        started_at = self.files.started_at(cell.trial_id) or self.clock()
        run_id = self.server.create(f"{cell.row} · seed {cell.seed}", tags, started_at)
        child = Child(run_id, "RUNNING", dict(more), fresh=True)
        self.children[key_of(cell)] = child
        return child

    def describe(self, child: Child, cell: PlannedRun, config: Mapping[str, Any]) -> dict[str, str]:
        """Log the data set of a run that lacks its parameters; returns these, to be logged with what is next."""
        if child.described:
            return {}
        digest = self.files.data_digest(cell.trial_id)
        if digest:
            profile = {key: value for key, value in config.items() if key.startswith("data.")}
            self.server.write_input(child.run_id, str(config.get("data.name", "data")), digest, profile)
        params = {key: as_text(value) for key, value in config.items()}
        return params | {"sweep": self.sweep.name, "row": cell.row, "seed": str(cell.seed)}

    def look_up(self, child: Child) -> None:
        """Learn which points a run holds already; a new one none."""
        child.logged = set()
        if child.fresh:
            return
        for key in self.server.run(child.run_id).metrics:
            for reading in self.server.history(child.run_id, key):
                child.logged.add((key, reading.step))
                if key not in child.last or child.last[key].step <= reading.step:
                    child.last[key] = reading

    def write(
        self,
        child: Child,
        readings: Sequence[Reading],
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """What is new, in one request where it fits."""
        if readings or tags or params:
            self.server.log(child.run_id, readings, present(tags or {}), params)
            child.described = child.described or bool(params)

    def attach(self, child: Child, record: AttemptRecord) -> None:
        """Artifacts of an ended trial: pictures, a table of classes, the traceback."""
        for path in self.files.pictures(record.trial_id):
            self.server.write_file(child.run_id, path, "pictures")
        table = iou_table(record.metrics)
        if table is not None:
            self.server.write_text(child.run_id, IOU_TABLE, json.dumps(table, ensure_ascii=False))
            shown = json.dumps([{"path": IOU_TABLE, "type": "table"}])
            self.server.log(child.run_id, tags={TABLES_LOGGED: shown})
        if record.error is not None and record.error.traceback:
            self.server.write_text(child.run_id, "failure.txt", record.error.traceback)

    def log_model(self, child: Child, trial_id: str, config: Mapping[str, Any]) -> str:
        """The trial's network as a model of MLflow; its address."""
        height, width = config["data.crop"]
        with self.server.in_one_line():
            from orchestrator.tracking.mlflow_models import log_model

            run_dir, kind = self.files.run_dir, self.sweep.models
            return log_model(self.server.uri, child.run_id, run_dir, trial_id, kind, (height, width))

    def close(self, child: Child, record: AttemptRecord, tags: Mapping[str, str]) -> None:
        """The status, last of all; what only a running trial needs is forgotten."""
        self.server.end(child.run_id, STATUS[record.state], record.ended_at)
        child.status = STATUS[record.state]
        child.tags = {key: tags[key] for key in REMEMBERED if tags.get(key)}
        child.logged, child.last, child.fresh = None, {}, False

    def end(self, child: Child, status: str) -> None:
        """Close a run whose trial has no end."""
        self.server.end(child.run_id, status)
        child.status = status


def present(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that say something."""
    return {key: value for key, value in tags.items() if value}
