"""Mirror: one sweep in MLflow, a parent run with a child run per row and seed, made from the run directory.

`open` compares the two and says which trials MLflow lacks; `deliver` brings one trial up to date and is safe to
repeat. `orchestrator.tracking.delivery` calls both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import PlannedRun, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.child_run import CODE, FAILURE, MODEL, REMEMBERED, ChildRun
from orchestrator.tracking.mlflow_limits import fit_name
from orchestrator.tracking.mlflow_store import RunFacts, Server
from orchestrator.tracking.planned_run_facts import PARENT, PlannedRunFacts
from orchestrator.tracking.row_figures import DIFFERENCE, Baseline, difference_name
from orchestrator.tracking.run_artifacts import attach, log_model
from orchestrator.tracking.sweep_run import SweepRun
from orchestrator.tracking.trial_run import (
    REUSED,
    STATUS,
    Reading,
    RunKey,
    curve_only,
    final_readings,
    key_of,
    last_step,
    link_readings,
    name_of,
    new_readings,
    old_name_of,
    outcome_tags,
    same,
    storable,
)
from orchestrator.workload.loading import WorkloadSource

__all__ = ["Mirror"]

RUN_NAME = "mlflow.runName"


def parent_status(results: SweepResults, completed: bool, interrupted: bool) -> str:
    """MLflow's status of a sweep that has ended: SCHEDULED if all that is missing has not run, for example `--only`."""
    if completed:
        return "FINISHED"
    states = {results.state_of(trial_id) for trial_id in results.unfinished}
    if interrupted or State.CANCELLED in states:
        return "KILLED"
    return "SCHEDULED" if states == {None} else "FAILED"


class Mirror:
    """One sweep on one server, used from one thread. Every method raises TrackingError or StoreError.

    After an error the object no longer knows what MLflow has: make and open another.
    """

    def __init__(
        self,
        server: Server,
        directory: RunDirectory,
        live_table: Path | None = None,
        workload: WorkloadSource | None = None,
    ) -> None:
        """`live_table`: a Markdown file that the driver rewrites while the sweep runs.

        `workload` exports models; None: the one that this process knows by the name in the plan.
        """
        self.workload = workload
        self.server = server
        self.directory = directory
        self.facts = PlannedRunFacts(directory)
        self.live_table = live_table
        self.clock = time.time
        self.sweep: SweepRecord
        self.sweep_run: SweepRun
        self.planned: dict[str, list[PlannedRun]] = {}
        self.outcomes: dict[str, AttemptRecord] = {}
        """The attempt that counts of each ended trial."""
        self.baseline: Baseline
        self.children: dict[RunKey, ChildRun] = {}
        self.complete_runs: dict[str, str] = {}
        """By trial id the finished run that holds its curves, in this sweep or another."""

    # -- the sweep

    def open(self, results: SweepResults, running: Collection[str] = ()) -> list[str]:
        """Compare MLflow with `results`; returns the ids of the ended trials of which MLflow lacks something.

        A run that a killed driver left RUNNING becomes KILLED unless its trial is `running`.
        """
        self.plan(results.sweep)
        self.outcomes = dict(results.outcomes)
        of_sweep = f"tags.sweep = '{self.sweep.name}' AND tags.role"
        known = next(iter(self.server.runs(f"{of_sweep} = 'sweep'")), None)
        self.sweep_run = SweepRun(self.server, self.sweep, known, self.live_table, self.clock)
        for run in self.server.runs(f"{of_sweep} = 'trial'"):
            self.add_child(run, running)
        self.find_elsewhere(results)
        self.sweep_run.count(results, running)
        self.log_differences(self.sweep.cells)
        return [key for key in self.planned if key in results.outcomes and self.lacks(results.outcomes[key])]

    def plan(self, sweep: SweepRecord) -> None:
        """Take over the plan, or a longer one."""
        self.sweep = sweep
        self.facts.plan(sweep)
        self.baseline = Baseline(sweep)
        self.planned = {}
        for planned in sweep.cells:
            self.planned.setdefault(planned.trial_id, []).append(planned)

    def deliver(self, trial_id: str, record: AttemptRecord | None) -> None:
        """Bring a trial up to the points in the run directory, and with a `record` to its end."""
        if trial_id not in self.planned:
            return
        if record is not None:
            self.outcomes[trial_id] = record
        first, *others = self.planned[trial_id]
        own = self.children.get(key_of(first))
        complete = self.complete_runs.get(trial_id)
        if complete is not None and record is not None and (own is None or own.link):
            self.link(first, record, complete)
        elif own is None or own.link or record is None or not own.holds(record):
            complete = self.fill(first, record)
        else:
            complete = own.run_id
        if record is not None:
            for planned in others:
                self.link(planned, record, complete)
            self.log_differences(self.baseline.compared.get(trial_id, ()))

    def finish(self, results: SweepResults, artifacts: Mapping[str, Path], *, completed: bool) -> None:
        """Attach tables and figures, close the runs of interrupted trials, then the parent run."""
        interrupted = [child for child in self.children.values() if child.status == "RUNNING"]
        for child in interrupted:
            self.server.end(child.run_id, "KILLED")
        self.sweep_run.count(results, ())
        self.sweep_run.finish(results.outcomes, artifacts, parent_status(results, completed, bool(interrupted)))

    # -- what MLflow has

    def add_child(self, run: RunFacts, running: Collection[str]) -> None:
        """Register a child run; of two for the same row, seed and trial the newer one, which comes first, counts.

        Two drivers can create one each, when one was suspended and the other took over; the other run is superseded.
        """
        tags = run.tags
        key = (tags.get("row", ""), int(tags.get("seed", -1)), tags.get("trial_id", ""))
        remembered = {name: tags[name] for name in REMEMBERED if name in tags}
        status = run.status
        if status == "RUNNING" and (key[2] not in running or key in self.children):
            status = "KILLED"
            self.server.end(run.run_id, status)
        if key in self.children:
            self.server.log(run.run_id, tags={"role": "superseded"})
            return
        difference = run.metrics.get(fit_name(difference_name(self.sweep)))
        self.children[key] = child = ChildRun(run.run_id, status, remembered, bool(run.params), difference)
        if status == "FINISHED" and not child.link:
            self.complete_runs.setdefault(key[2], run.run_id)
        if tags.get(PARENT) != self.sweep_run.run_id:  # somebody deleted the parent
            self.server.log(run.run_id, tags={PARENT: self.sweep_run.run_id})
        planned = next((item for item in self.planned.get(key[2], ()) if key_of(item) == key), None)
        if planned is not None and tags.get(RUN_NAME) == old_name_of(planned):
            self.server.log(run.run_id, tags=self.facts.schedule_tags(planned))
            self.server.rename(run.run_id, name_of(planned))

    def find_elsewhere(self, results: SweepResults) -> None:
        """Find the trials whose curves are in runs of other sweeps; one listing, and only if any may be."""
        wanted = {
            trial_id
            for trial_id in self.planned
            if results.state_of(trial_id) is State.DONE and trial_id not in self.complete_runs
        }
        if not wanted:
            return
        others = f"tags.role = 'trial' AND attributes.status = 'FINISHED' AND tags.sweep != '{self.sweep.name}'"
        for run in self.server.runs(others):
            trial_id = run.tags.get("trial_id", "")
            code = run.tags.get(CODE, "")
            if trial_id in wanted and REUSED not in run.tags and code == results.outcomes[trial_id].code:
                self.complete_runs[trial_id] = run.run_id

    def lacks(self, record: AttemptRecord) -> bool:
        """Whether a run of an ended trial is missing, incomplete, or a link to a run that is gone."""
        complete = self.complete_runs.get(record.trial_id)
        for planned in self.planned[record.trial_id]:
            child = self.children.get(key_of(planned))
            if child is None or not child.holds(record):
                return True
            if child.link and (child.link != complete if complete is not None else record.state is State.DONE):
                return True
        return False

    # -- child runs

    def fill(self, planned: PlannedRun, record: AttemptRecord | None) -> str:
        """Write a trial's curves, and its end, to its own run; returns the run's id."""
        trial_id = planned.trial_id
        facts = self.facts.of_trial(trial_id)
        child = self.open_run(planned)
        params = self.describe(child, planned)
        if child.logged is None:
            self.look_up(child)
        logged = child.logged = child.logged or set()
        readings = new_readings(self.directory.points(trial_id, child.offsets), logged, child.last)
        if record is None:
            self.write(child, readings, params=params)
            return child.run_id
        tags = outcome_tags(record) | self.facts.checkpoint_tags(trial_id)
        tags["curve_only"] = json.dumps(curve_only(record, child.last))
        readings += final_readings(record, child.last, last_step(facts, child.last))
        readings += self.new_difference(child, planned)
        for name in FAILURE:
            if name in child.tags and not tags[name]:
                self.server.remove_tag(child.run_id, name)
        self.attach(child, record)
        if self.sweep.models != "none" and record.state is State.DONE:
            tags[MODEL] = child.tags.get(MODEL) or self.log_model(child, trial_id)
        self.write(child, readings, tags, params)
        self.close(child, record, tags)
        if record.state is State.DONE:
            self.complete_runs[trial_id] = child.run_id
        return child.run_id

    def link(self, planned: PlannedRun, record: AttemptRecord, complete: str) -> None:
        """Write a run whose curves are in run `complete`: final figures, and a tag that names that run."""
        child = self.children.get(key_of(planned))
        if child is not None and child.holds(record) and child.link == complete:
            return
        child = self.open_run(planned, {REUSED: complete})
        tags = outcome_tags(record) | self.facts.checkpoint_tags(planned.trial_id) | {REUSED: complete}
        readings = link_readings(record, self.facts.of_trial(planned.trial_id)) + self.new_difference(child, planned)
        self.write(child, readings, tags, self.describe(child, planned))
        self.close(child, record, tags)

    def open_run(self, planned: PlannedRun, link: Mapping[str, str] | None = None) -> ChildRun:
        """The run of a row and seed, RUNNING: the one that MLflow has, else a new one."""
        child = self.children.get(key_of(planned))
        if child is not None and self.is_superseded(child, planned.trial_id):
            self.server.log(child.run_id, tags={"role": "superseded"})
            child = None
        if child is None:
            child = self.create(planned, link or {})
        if child.status != "RUNNING":
            self.server.reopen(child.run_id)
            child.status = "RUNNING"
        if child.link and not link:  # from now on it holds the curves itself
            self.server.remove_tag(child.run_id, REUSED)
            child.tags = {key: value for key, value in child.tags.items() if key != REUSED}
        return child

    def is_superseded(self, child: ChildRun, trial_id: str) -> bool:
        """Whether the trial was started again because other code had computed it: its curves need a new run."""
        code, latest = child.tags.get(CODE, ""), self.directory.trial_facts(trial_id).get("code", "")
        accepts = self.sweep.accepts_code
        return bool(code) and not accepts(trial_id, code) and bool(latest) and accepts(trial_id, latest)

    def create(self, planned: PlannedRun, link: Mapping[str, str]) -> ChildRun:
        """Create a run with all tags that are known before training."""
        tags = {**self.facts.tags(planned, self.sweep_run.run_id), **link}
        first = next(self.directory.points(planned.trial_id), None)
        started_at = self.clock() if first is None else first.time
        run_id = self.server.create(name_of(planned), tags, started_at)
        child = ChildRun(run_id, "RUNNING", dict(link), fresh=True)
        self.children[key_of(planned)] = child
        return child

    def new_difference(self, child: ChildRun, planned: PlannedRun) -> list[Reading]:
        """The difference of a run to its baseline, if it is known and the run does not hold it."""
        value = self.baseline.difference(planned, self.outcomes)
        if value is None or (child.difference is not None and same(child.difference, storable(value))):
            return []
        child.difference = storable(value)
        pair = (planned.trial_id, self.baseline.trials[planned])
        ended_at = max(self.outcomes[trial_id].ended_at for trial_id in pair)
        step = last_step(self.facts.of_trial(planned.trial_id), {})
        return [Reading(difference_name(self.sweep), child.difference, step, ended_at)]

    def log_differences(self, runs: Iterable[PlannedRun]) -> None:
        """Log the difference of each run that is complete and lacks it, because its baseline ended later."""
        for planned in runs:
            child = self.children.get(key_of(planned))
            if child is not None and child.status != "RUNNING" and (readings := self.new_difference(child, planned)):
                self.server.log(child.run_id, readings)

    def describe(self, child: ChildRun, planned: PlannedRun) -> dict[str, str]:
        """Log the data set of a run without parameters; returns the parameters, for the next request."""
        if child.described:
            return {}
        if (data_set := self.facts.data_set(planned.trial_id)) is not None:
            self.server.write_input(child.run_id, *data_set)
        return self.facts.parameters(planned)

    def look_up(self, child: ChildRun) -> None:
        """Ask MLflow which points a run holds; a new run holds none."""
        child.logged = set()
        if child.fresh:
            return
        for key in self.server.run(child.run_id).metrics:
            if key.startswith(DIFFERENCE):
                continue
            for reading in self.server.history(child.run_id, key):
                child.logged.add((key, reading.step))
                if key not in child.last or child.last[key].step <= reading.step:
                    child.last[key] = reading

    def write(
        self,
        child: ChildRun,
        readings: Sequence[Reading],
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """Log what is new, in one request where it fits; empty tags are left out."""
        present = {key: value for key, value in (tags or {}).items() if value}
        self.server.log(child.run_id, readings, present, params)
        child.described = child.described or bool(params)

    def attach(self, child: ChildRun, record: AttemptRecord) -> None:
        """Artifacts of an ended trial."""
        config = self.facts.config_of(record.trial_id)
        attach(self.server, child.run_id, record, sweep=self.sweep, directory=self.directory, config=config)

    def log_model(self, child: ChildRun, trial_id: str) -> str:
        """Log the trial's model to MLflow; returns the model's address."""
        return log_model(
            self.server,
            child.run_id,
            trial_id,
            sweep=self.sweep,
            directory=self.directory,
            source=self.workload,
        )

    def close(self, child: ChildRun, record: AttemptRecord, tags: Mapping[str, str]) -> None:
        """Write the status, last of all, and forget what only a running trial needs."""
        self.server.end(child.run_id, STATUS[record.state], record.ended_at)
        child.status = STATUS[record.state]
        child.tags = {key: tags[key] for key in REMEMBERED if tags.get(key)}
        child.logged, child.last, child.offsets, child.fresh = None, {}, {}, False
