"""What mirroring a sweep to MLflow costs its driver: `python -m benchmarks.tracking [--json OUT] [--quick]`.

Measures, with SQLite and trials that sleep: calls of log_batch per report; CPU seconds of the mirror beside those of
Ray's MLflowLoggerCallback for the same trials; the wall time of trials of 20 s with 20 reports on two slots, beside the
same without MLflow; and points lost by eight trials that report five times a second. In a sweep a child process follows
the run directory. Here a thread of this process does, so that its requests are counted and its CPU time is the
driver's, like that of the callback.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.idle_sweep import idle_record
from benchmarks.in_process import InProcessFollower
from benchmarks.report import Figure, at_least, at_most, command_line, information, publish
from orchestrator.commands.sync import differences
from orchestrator.machine.own_folder import temporary_folder
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.tracking.follower import Follower
from orchestrator.tracking.mlflow_database import create_database
from orchestrator.tracking.mlflow_store import Server
from orchestrator.tracking.quiet_mlflow import MlflowClient
from trainer.config import Runtime, TrainConfig

METRICS = ("train/loss", "train/lr", "train/contrast", "contrast/purity", "val/miou", "val/pixel_accuracy")
KNOBS = 60
REPORTS, SLOTS = 20, 2
DATABASE = "mlflow.db"
BUSY_TRIALS, BUSY_RATE = 8, 5.0
"""Trials at a time, and reports of each per second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """Cost of a sweep of sleeping trials."""

    wall: float
    """Seconds until the last trial ended."""
    cpu: float
    """CPU seconds of the process until MLflow had everything."""
    calls: int
    """Requests that carried points of curves."""
    lost: int
    """Differences between MLflow and the store."""


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    given = command_line(__doc__).parse_args()
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    trials, seconds = (2, 2.0) if given.quick else (4, 20.0)
    with temporary_folder("benchmark") as folder, chdir(folder):  # MLflow writes artifacts to the current one
        figures = measure(folder, trials, seconds, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def measure(folder: Path, trials: int, seconds: float, *, counts: bool) -> list[Figure]:
    """The figures and their goals; each way has a database of its own."""
    create_database(f"sqlite:///{folder / DATABASE}")
    plain = play(folder / "plain", trials, SLOTS, seconds, REPORTS, mirrored=False)
    ours = play(folder / "ours", trials, SLOTS, seconds, REPORTS)
    theirs = callback(folder / "callback", trials, REPORTS)
    busy = play(folder / "busy", BUSY_TRIALS, BUSY_TRIALS, seconds, round(BUSY_RATE * seconds))
    cpu = max(ours.cpu - plain.cpu, 1e-9)
    return [
        at_most("log_batch calls, beside reports", ours.calls, trials * REPORTS, 1.0, unit="", counts=counts),
        at_least("driver CPU s, beside MLflowLoggerCallback", cpu, theirs, 2.0, counts=counts),
        at_most("wall s of the trials, beside the same without MLflow", ours.wall, plain.wall, 1.02, counts=counts),
        information("driver CPU s per wall s of a slot", cpu / SLOTS / ours.wall, unit=""),
        Figure(
            figure="differences of MLflow, 8 trials at 5 reports/s",
            ours=busy.lost,
            unit="",
            goal="none",
            held=busy.lost == 0 if counts else None,
        ),
    ]


def store_in(folder: Path) -> str:
    """URI of a database of MLflow in a new folder: a copy of the empty one beside it, as making one takes seconds."""
    folder.mkdir()
    shutil.copy(folder.parent / DATABASE, folder)
    return f"sqlite:///{folder / DATABASE}"


def play(folder: Path, trials: int, slots: int, seconds: float, reports: int, *, mirrored: bool = True) -> Played:
    """Run a sweep of sleeping trials with the record store and, if `mirrored`, the mirror; returns its cost."""
    uri = store_in(folder)
    Server(uri)
    sweep = idle_record("benchmark", [f"t{seed}" for seed in range(trials)])
    store = RecordStore(folder / "runs")
    store.write_sweep(sweep)
    with counted() as calls:
        follower = InProcessFollower(uri, store.location) if mirrored else None
        if follower:
            follower.begin(sweep, {})
            follower.admit()
        guard = threading.Lock()
        waiting = [cell.trial_id for cell in sweep.cells]
        began, cpu = time.monotonic(), time.process_time()

        def slot() -> None:
            while True:
                with guard:
                    if not waiting:
                        return
                    trial_id = waiting.pop(0)
                train(store, follower, guard, trial_id, seconds, reports)

        threads = [threading.Thread(target=slot) for _ in range(slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.monotonic() - began
        if follower:
            follower.finish(store.outcomes(cell.trial_id for cell in sweep.cells), {}, True)
            follower.close()
            if follower.lacking:
                raise RuntimeError(f"{follower.lacking}: {follower.failure}")
        spent = time.process_time() - cpu
    lost = len(differences(store.location, sweep.name, uri)) if mirrored else 0
    return Played(wall=wall, cpu=spent, calls=calls["writes"], lost=lost)


def train(
    store: RecordStore,
    follower: Follower | None,
    guard: threading.Lock,
    trial_id: str,
    seconds: float,
    reports: int,
) -> None:
    """One trial as the driver sees it: sleep, report, sleep."""
    task = Task(trial_id=trial_id, attempt=1, config=TrainConfig(), runtime=Runtime(), workdir=Path(trial_id))
    began = time.time()
    with guard:
        store.start(trial_id, 1, {f"knob.{index}": index for index in range(KNOBS)}, began)
        if follower:
            follower.started(task)
    for step in range(1, reports + 1):
        time.sleep(seconds / reports)
        point = Point(step=step, metrics=values(step), time=time.time())
        with guard:
            store.append(trial_id, point)
            if follower:
                follower.reported(task, point)
    record = AttemptRecord(
        trial_id=trial_id, attempt=1, state=State.DONE, started_at=began, ended_at=time.time(), metrics=finals()
    )
    with guard:
        store.end(record)
        if follower:
            follower.ended(task, record)


def callback(folder: Path, trials: int, reports: int) -> float:
    """CPU seconds of the process in which Ray's MLflowLoggerCallback logs the same trials."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    uri = store_in(folder)
    logger = MLflowLoggerCallback(tracking_uri=uri, experiment_name="callback", save_artifact=False)
    logger.setup()
    config = {f"knob.{index}": index for index in range(KNOBS)}
    cpu = time.process_time()
    for number in range(trials):
        trial: Any = RayTrial(f"t{number}", config)
        logger.log_trial_start(trial)
        for step in range(1, reports + 1):
            logger.log_trial_result(step, trial, {"training_iteration": step, **values(step)})
        logger.log_trial_result(reports + 1, trial, {"training_iteration": reports + 1, **finals()})
        logger.log_trial_end(trial, failed=False)
    return time.process_time() - cpu


class RayTrial:
    """The part of a Tune trial that the callback reads."""

    def __init__(self, trial_id: str, config: dict[str, Any]) -> None:
        self.trial_id, self.config, self.evaluated_params = trial_id, config, config

    def __str__(self) -> str:
        return self.trial_id


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the requests that carry points of curves, as `writes`."""
    calls: Counter[str] = Counter()
    original: Callable[..., Any] = MlflowClient.log_batch

    def call(*arguments: Any, **options: Any) -> Any:
        calls["writes"] += any(metric.key in METRICS for metric in options.get("metrics", ()))
        return original(*arguments, **options)

    MlflowClient.log_batch = call
    try:
        yield calls
    finally:
        MlflowClient.log_batch = original


def values(step: int) -> dict[str, float]:
    """Metrics of a report."""
    return {name: step / (index + 3) for index, name in enumerate(METRICS)}


def finals() -> dict[str, float]:
    """Metrics of a record."""
    return {f"final/iou/class {index}": 0.5 for index in range(19)} | {"final/miou": 0.5}


if __name__ == "__main__":
    sys.exit(main())
