"""A sweep of one row whose trials only report: its plan, the work of its trials, and a run with all logging."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.idle_work import REPORTS, IdleWork
from benchmarks.process import cpu_seconds
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.running.executors.base import Executor
from orchestrator.running.fork_server.request import DIED
from orchestrator.running.task import Task
from orchestrator.running.tracker import Tracker
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.workload.loading import built_in
from trainer.config import Runtime, TrainConfig

if TYPE_CHECKING:
    from orchestrator.running.executors.ray_tune import RayTune

__all__ = ["TRACKING_URI", "IdleRun", "idle_executor", "idle_plan", "idle_record", "run_idle"]

RUNS = Path("runs")
TRACKING_URI = "sqlite:///mlflow.db"


def idle_record(name: str, trial_ids: Sequence[str]) -> SweepRecord:
    """The record of a sweep with one seed for each trial."""
    return SweepRecord(
        name=name,
        question="",
        method="ablation",
        recipe="none",
        metric="final/miou",
        goal="maximize",
        baseline=None,
        rows=(Row(label="row", factors={}),),
        seeds=tuple(range(len(trial_ids))),
        cells=tuple(PlannedRun(row="row", seed=seed, trial_id=trial_id) for seed, trial_id in enumerate(trial_ids)),
    )


def idle_plan(name: str, trials: int) -> SweepPlan:
    """A plan of `trials` trials, which differ in their seed."""
    planned = tuple(
        Trial(trial_id=f"{number:012x}", config=replace(TrainConfig(), seed=number)) for number in range(trials)
    )
    return SweepPlan(record=idle_record(name, [trial.trial_id for trial in planned]), trials=planned)


@contextmanager
def idle_executor(slots: int, seconds: float = 0.0, *, preload: bool = True) -> Iterator[RayTune]:
    """Ray with idle trials of `seconds` on `slots` slots, and a fork server.

    It has imported what real ones need, with `preload`.
    """
    from orchestrator.running.executors import fork_server
    from orchestrator.running.executors.ray_tune import RayTune
    from orchestrator.running.executors.trial_worker import TrialWorker

    modules = built_in().extras.preload if preload else ()
    with fork_server((*modules, IdleWork.__module__), cpus=1) as path:
        executor = RayTune(max_concurrent=slots, work=IdleWork(seconds), server=path)
        first = Task(trial_id="first", attempt=1, config=TrainConfig(), runtime=Runtime(), workdir=Path("first"))
        ready = TrialWorker(work=pickle.dumps(IdleWork()), server=path)
        if DIED in (ended := ready.run(pickle.dumps(first), lambda _: None, node="")):
            raise RuntimeError(ended[DIED])
        try:
            yield executor
        finally:
            executor.shutdown()


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleRun:
    """Cost of a run, from the first trial submitted until record store and MLflow hold everything."""

    outcomes: Mapping[str, AttemptRecord]
    seconds: float
    """Wall time."""
    cpu_seconds: float
    """Of this process and of the mirror's process, all threads."""


def run_idle(
    plan: SweepPlan, executor: Executor, trackers: Sequence[Tracker] = (), *, mirrored: bool = True
) -> IdleRun:
    """Run `plan` in the current folder with driver, record store and MLflow mirror, and check the records.

    The clock starts when the executor is ready and MLflow has answered, as the trials of a sweep do. Raises
    RuntimeError if record store or MLflow lacks a trial or a report.
    """
    from orchestrator.running.driver import Driver
    from orchestrator.store.record_store import RecordStore
    from orchestrator.tracking.follower import Follower

    store = RecordStore(RUNS)
    followers = [Follower(TRACKING_URI, RUNS, Path("table.md"))] if mirrored else []
    for follower in followers:
        follower.admit()
    processes = [follower.process for follower in followers]
    began, worked = time.perf_counter(), cpu_seconds(*processes)
    with store.lock():
        store.write_sweep(plan.record)
        driver = Driver(store, [*followers, *trackers])
        outcomes = driver.run(plan, {}, Runtime(), lambda: executor)
        driver.finish({}, completed=True)
        for follower in followers:
            follower.wait()
    seconds, worked = time.perf_counter() - began, cpu_seconds(*processes) - worked
    for follower in followers:
        follower.stop()
    check_kept(outcomes, len(plan.trials), mirrored=mirrored)
    return IdleRun(outcomes=outcomes, seconds=seconds, cpu_seconds=worked)


def check_kept(outcomes: Mapping[str, AttemptRecord], trials: int, *, mirrored: bool) -> None:
    """Raise RuntimeError unless the record store, and MLflow if `mirrored`, holds every trial and every report."""
    from orchestrator.tracking.mlflow_store import Server

    kept = RunDirectory(RUNS).outcomes(outcomes)
    points = {sum(1 for _ in RunDirectory(RUNS).points(trial_id)) for trial_id in kept}
    done = [record for record in kept.values() if record.state is State.DONE]
    if len(done) != trials or points != {REPORTS + 1}:
        raise RuntimeError(f"of {trials} trials the store has {len(done)}; points {points}")
    if not mirrored:
        return
    runs = Server(TRACKING_URI, create=False).runs("tags.role = 'trial'")
    finished = [run for run in runs if run.status == "FINISHED" and run.metrics.get("val/miou") == REPORTS / 10]
    if len(finished) != trials:
        raise RuntimeError(f"of {trials} trials MLflow has {len(finished)}")
