"""What the command line does, for Python."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.api import RunOptions, carry_out, runtime_of
from orchestrator.errors import StoreError, SweepError
from orchestrator.planning.plan import TrialSelection, plan_sweep
from orchestrator.running.task import Task
from orchestrator.spec.blocks import Resources
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.lease import Lease, LeaseTimings
from orchestrator.store.lock_owner import Owner
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.json_events import EventTracker
from orchestrator.tracking.uri import tracking_uri_of
from trainer.config import Runtime

SEARCH = """
name: tiny
question: Which rate?
recipe: ./tiny_recipe.yaml
method: random
metric: {name: val/miou, goal: maximize}
seeds: [1]
trials: 2
parameters:
  contrast.temperature: {min: 0.05, max: 0.5}
"""
"""All its trials fail: `quick_options` lets no seed 1 of a contrastive loss pass."""


def test_plan_and_sweep_are_all_one_imports(tiny_space: Path) -> None:
    code = (
        "import json, sys; from orchestrator import plan, sweep; found = plan(sys.argv[1], seeds=3);"
        "print(json.dumps([len(found.trials), callable(sweep), sorted({'torch', 'ray', 'mlflow'} & set(sys.modules))]))"
    )
    line = [sys.executable, "-c", code, str(tiny_space)]
    result = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(result.stdout) == [6, True, []]


def test_a_sweep_runs_what_is_missing_and_writes_its_tables(tiny_space: Path, quick_options: RunOptions) -> None:
    result = api.sweep(tiny_space, options=quick_options)
    states = sorted(record.state for record in result.outcomes.values())
    assert states == [State.DONE, State.DONE, State.DONE, State.USER_ERROR]
    assert not result.completed
    assert result.mirror_failure is None
    assert {path.name for path in result.files.values()} >= {"table.md", "table.csv"}
    again = api.sweep(tiny_space, seeds=1, options=quick_options)
    assert again.completed
    assert {record.attempt for record in again.outcomes.values()} == {1}


def test_a_trial_of_a_search_is_run_again_alone(tiny_space: Path, quick_options: RunOptions) -> None:
    tiny_space.write_text(SEARCH)
    first = api.sweep(tiny_space, settings=["schedule.steps=9"], options=quick_options)
    suggested = [cell.trial_id for cell in first.plan.record.cells]
    assert [first.outcomes[key].attempt for key in suggested] == [1, 1]
    tiny_space.write_text(SEARCH.replace("trials: 2", "trials: 4"))
    spec = read_spec(tiny_space, settings=["schedule.steps=9"])
    seen: list[str] = []
    selection = TrialSelection(trials=(suggested[1][:6],))
    again = carry_out(
        spec,
        plan_sweep(spec, run_dir=Path("runs")),
        quick_options,
        lambda todo: seen.extend(trial.trial_id for trial in todo) or (),
        selection,
    )
    assert seen == [suggested[1]]
    assert [cell.trial_id for cell in again.plan.record.cells] == suggested, "no trial was added"
    assert [again.outcomes[key].attempt for key in suggested] == [1, 2]


def test_a_wrong_space_and_a_store_in_use_raise(tiny_space: Path, quick_options: RunOptions) -> None:
    with pytest.raises(SweepError, match="nowhere"):
        api.sweep("nowhere.yaml", options=quick_options)
    with RecordStore("runs").lock(), pytest.raises(StoreError):
        api.sweep(tiny_space, options=quick_options)


def test_the_command_line_of_a_sweep_is_recorded(tiny_space: Path, quick_options: RunOptions) -> None:
    spec = read_spec(tiny_space)
    plan = plan_sweep(spec, run_dir=Path("runs"))
    carry_out(spec, plan, quick_options, lambda _: (), command="python -m orchestrator.sweep tiny.yaml")
    assert RunDirectory("runs").sweep("tiny").command == "python -m orchestrator.sweep tiny.yaml"
    values = RunDirectory("runs").sweep("tiny").to_json()
    del values["command"]
    assert SweepRecord.from_json(values).command == "", "as in stores of earlier versions"


def test_an_interrupted_sweep_writes_its_table_and_says_so(tiny_space: Path, quick_options: RunOptions) -> None:
    class Impatient(EventTracker):
        """Ctrl-C at the second start."""

        def started(self, task: Task) -> None:
            self.count = getattr(self, "count", 0) + 1
            if self.count == 2:
                signal.raise_signal(signal.SIGINT)

    with (tiny_space.parent / "events").open("w") as stream, pytest.raises(KeyboardInterrupt):
        api.sweep(tiny_space, options=quick_options, trackers=[Impatient(stream)])
    ids = [cell.trial_id for cell in RunDirectory("runs").sweep("tiny").cells]
    states = sorted(record.state for record in RunDirectory("runs").outcomes(ids).values())
    assert states == [State.CANCELLED, State.DONE], "the second ends at its next report, no third one starts"
    assert (quick_options.out / "tiny" / "table.md").exists()


@pytest.mark.parametrize(
    ("resources", "ranks", "threads"),
    [
        (Resources(), 1, 1),
        (Resources(cpus=3, gpus="auto"), 1, 3),
        (Resources(cpus=0.5, gpus=0.25), 1, 1),
        (Resources(cpus=8, gpus=4, ranks=4), 4, 2),
        (Resources(cpus=2, gpus=4, ranks=4), 4, 1),
    ],
)
def test_the_ranks_of_a_trial_divide_its_cpus(resources: Resources, ranks: int, threads: int) -> None:
    assert runtime_of(resources) == Runtime(ranks=ranks, threads=threads)


def test_mlflows_store_is_the_given_one_then_the_environments_then_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert tracking_uri_of("http://here") == "http://here"
    assert tracking_uri_of(None) == "http://there"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking_uri_of(None) == "sqlite:///mlflow.db"


@pytest.mark.usefixtures("figures")
def test_a_driver_that_was_taken_over_leaves_tables_and_mlflow_to_the_other(
    tiny_space: Path, quick_options: RunOptions, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a trial another driver has the lease, and this one wakes up."""
    options = replace(quick_options, run_dir=memory)
    told: list[str] = []

    class Tracker(EventTracker):
        def reported(self, task: Task, point: Point) -> None:
            store.files.write("driver.lease/000099", Owner.here().to_text().encode())
            leases[0].renewed_at = float("-inf")

        def finish(self, outcomes: object, artifacts: object, completed: bool) -> None:
            told.append("finish")

    leases: list[Lease] = []
    monkeypatch.setattr(Lease, "keep_renewing", lambda lease: leases.append(lease))
    monkeypatch.setattr("orchestrator.store.lock.LeaseTimings", partial(LeaseTimings, settle_seconds=0.0))
    monkeypatch.setattr("orchestrator.running.worker.run_trial", reports_twice)
    store = RecordStore(memory)
    with pytest.raises(StoreError, match="this driver did not renew its lease in time and lost it to process"):
        api.sweep(tiny_space, options=options, trackers=[Tracker(io.StringIO())])
    assert told == []
    assert not (options.out / "tiny" / "figures").exists(), "written with the last table only"
    store.files.delete("driver.lease/000099")
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})  # which takes seconds
    timings = partial(
        LeaseTimings, settle_seconds=0.0, dead_seconds=0.5
    )  # of the first driver, which has not renewed it
    monkeypatch.setattr("orchestrator.store.lock.LeaseTimings", timings)
    assert api.sweep(tiny_space, options=replace(options, out=options.out / "again")).completed


def reports_twice(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
    """A trial with two points."""
    now = time.time()
    for step in (1, 2):
        report(Point(step=step, metrics={"train/loss": 1.0}, time=now, attempt=task.attempt))
    metrics = {"final/miou": 0.5}
    ends = {"started_at": now, "ended_at": now, "metrics": metrics}
    return AttemptRecord(trial_id=task.trial_id, attempt=task.attempt, state=State.DONE, **ends)
