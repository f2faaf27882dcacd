"""What a trial costs besides training: `python -m benchmarks.overhead [--trials 400] [--json OUT] [--quick]`.

No-op trials with five reports each on two slots: ours with record store and MLflow on, beside bare Ray Tune with
reuse_actors, the same with MLflowLoggerCallback, and Tune as it comes (a fresh process that imports torch for each
trial). Every case runs in a process and on a Ray cluster of its own; what ours kept is checked.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, at_least, at_most, publish

SLOTS = 2
REPORTS = 5
FRESH_TRIALS = 12
"""Trials of the slow case: a process start each."""


def main() -> int:
    """Measure, print, write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400, help="trials of each case (default: 400)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="few trials: a check that it runs")
    parser.add_argument("--case", choices=tuple(CASES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    trials = 6 if given.quick else given.trials
    if given.case:
        print(json.dumps(CASES[given.case](trials)))
        return 0
    seconds = {case: measure(case, 4 if given.quick and case == "fresh" else trials) for case in CASES}
    figures = compare(seconds, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def measure(case: str, trials: int) -> float:
    """Seconds per trial of a case, in a process of its own."""
    trials = min(trials, FRESH_TRIALS) if case == "fresh" else trials
    command = [sys.executable, "-m", "benchmarks.overhead", "--case", case, "--trials", str(trials)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(  # noqa: S603 - this very file
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
    return float(json.loads(done.stdout.splitlines()[-1])) / trials


def compare(seconds: dict[str, float], *, counts: bool) -> list[Figure]:
    """The goals."""
    ours = seconds["ours"]
    return [
        at_most("overhead per trial, beside bare Tune with reuse_actors", ours, seconds["bare"], 1.3, counts=counts),
        at_least("the same, beside Tune with MLflowLoggerCallback", ours, seconds["mlflow"], 2.0, counts=counts),
        at_least("the same, beside Tune as it comes (fresh processes)", ours, seconds["fresh"], 20.0, counts=counts),
    ]


def ours(trials: int) -> float:
    """Driver, Ray executor, record store and MLflow mirror; the whole run but the start of the cluster."""
    from dataclasses import replace

    from orchestrator.driver import Driver
    from orchestrator.execution.base import Task
    from orchestrator.execution.ray_tune import RayTune
    from orchestrator.planning import SweepPlan, Trial
    from orchestrator.records import AttemptRecord, Cell, Point, Row, State, SweepRecord
    from orchestrator.store import RecordStore
    from orchestrator.tracking.background import Background
    from orchestrator.tracking.mirror import Mirror
    from orchestrator.tracking.mlflow import Server
    from trainer.config import Runtime, TrainConfig

    def work(task: Task, report: Any) -> AttemptRecord:
        for step in range(1, REPORTS + 1):
            report(Point(step=step, metrics={"val/miou": step / 10}, time=time.time(), attempt=task.attempt))
        now = time.time()
        return AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.DONE,
            started_at=now,
            ended_at=now,
            metrics={"final/miou": 0.5},
        )

    planned = tuple(
        Trial(trial_id=f"{number:012x}", config=replace(TrainConfig(), seed=number)) for number in range(trials)
    )
    sweep = SweepRecord(
        name="overhead",
        question="",
        method="ablation",
        recipe="none",
        metric="final/miou",
        goal="maximize",
        baseline=None,
        rows=(Row(label="row", factors={}),),
        seeds=tuple(range(trials)),
        cells=tuple(Cell(row="row", seed=number, trial_id=trial.trial_id) for number, trial in enumerate(planned)),
    )
    executor = RayTune(max_concurrent=SLOTS, work=work)
    store = RecordStore(Path("runs"))
    mirror = Background(lambda: Mirror(Server("sqlite:///mlflow.db"), Path("runs"), Path("table.md")))
    began = time.perf_counter()
    with store.lock():
        store.write_sweep(sweep)
        driver = Driver(store, [mirror])
        outcomes = driver.run(SweepPlan(record=sweep, trials=planned), {}, Runtime(), lambda: executor)
        driver.finish({}, completed=True)
        mirror.close()
    seconds = time.perf_counter() - began
    executor.shutdown()
    check_kept(outcomes, trials)
    return seconds


def check_kept(outcomes: dict[str, Any], trials: int) -> None:
    """Raise unless store and MLflow hold every trial and every report."""
    from mlflow import MlflowClient

    from orchestrator.records import State, read_outcomes, read_points

    kept = read_outcomes(Path("runs"), outcomes)
    points = [sum(1 for _ in read_points(Path("runs"), trial_id)) for trial_id in kept]
    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs(["1"], "tags.role = 'trial'", max_results=1000, page_token=token)
        runs += page
        if not (token := page.token):
            break
    finished = [
        run for run in runs if run.info.status == "FINISHED" and run.data.metrics.get("val/miou") == REPORTS / 10
    ]
    done = [record for record in kept.values() if record.state is State.DONE]
    if not len(done) == len(finished) == trials or set(points) != {REPORTS + 1}:
        raise RuntimeError(
            f"of {trials} trials the store has {len(done)}, MLflow {len(finished)}; points {set(points)}"
        )


def tune_case(trials: int, *, reuse: bool, with_mlflow: bool) -> float:
    """Ray Tune by itself."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    callbacks = []
    if with_mlflow:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        callbacks = [MLflowLoggerCallback(tracking_uri="sqlite:///mlflow.db", experiment_name="overhead")]
    if reuse:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"

    def train(_config: dict[str, Any]) -> None:
        if not reuse:
            import torch  # noqa: F401 - what a fresh process of a trial pays
        for step in range(1, REPORTS + 1):
            tune.report({"val/miou": step / 10})

    tuner = tune.Tuner(
        train,
        param_space={"seed": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=reuse, max_concurrent_trials=SLOTS),
        run_config=tune.RunConfig(storage_path=str(Path("tune").resolve()), verbose=0, callbacks=callbacks),
    )
    began = time.perf_counter()
    tuner.fit()
    seconds = time.perf_counter() - began
    ray.shutdown()
    return seconds


CASES = {
    "ours": ours,
    "bare": lambda trials: tune_case(trials, reuse=True, with_mlflow=False),
    "mlflow": lambda trials: tune_case(trials, reuse=True, with_mlflow=True),
    "fresh": lambda trials: tune_case(trials, reuse=False, with_mlflow=False),
}

if __name__ == "__main__":
    sys.exit(main())
