"""The overhead of a trial besides training: `python -m benchmarks.overhead [--trials 400] [--json OUT] [--quick]`.

No-op trials with five reports each run on two slots: this project with record store and MLflow, beside bare Ray Tune
with reuse_actors, the same with MLflowLoggerCallback, and Tune with its defaults (a fresh process that imports torch
for each trial). Every case has its own process and its own Ray cluster (with --quick those of Tune share one). Ours
and bare Tune, where ten percent matter, run twice, alternating, and the faster run counts. The clock starts when Ray is
up and MLflow has its database. The records of our run are checked.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.idle_sweep import TRACKING_URI, idle_executor, idle_plan, run_idle
from benchmarks.idle_work import REPORTS
from benchmarks.process import measure_apart
from benchmarks.report import Figure, at_least, at_most, command_line, publish

SLOTS = 2
ROUNDS = 2
OURS, FRESH = "ours", "fresh"
TUNE = {
    "bare": {"reuse": True, "with_mlflow": False},
    "mlflow": {"reuse": True, "with_mlflow": True},
    FRESH: {"reuse": False, "with_mlflow": False},
}
"""How Tune is used in each case."""
CASES = (OURS, *TUNE)
CLOSE = {OURS, "bare"}
FRESH_TRIALS = 12
"""Trials of the slow case, each of which starts a process."""
AUTO_LOGGERS_OFF = "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"
QUICK_TRIALS, QUICK_FRESH_TRIALS = 6, 1
QUICK_PROCESSES = ((OURS,), tuple(TUNE))
"""Cases that share a process."""


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--trials", type=int, default=400, help="trials of each case (default: 400)")
    parser.add_argument("--case", nargs="+", choices=CASES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps({case: seconds_per_trial(case, given.trials, quick=given.quick) for case in given.case}))
        return 0
    seconds = {case: float("inf") for case in CASES}
    processes = QUICK_PROCESSES if given.quick else tuple((case,) for case in CASES)
    words = ("--trials", given.trials, *(("--quick",) if given.quick else ()))
    for number in range(1 if given.quick else ROUNDS):
        for cases in processes:
            if number and not set(cases) <= CLOSE:
                continue
            for case, found in measure_apart("benchmarks.overhead", *words, "--case", *cases).items():
                seconds[case] = min(seconds[case], found)
                print(f"{case}: {seconds[case]:.4f} s per trial", flush=True)
    return 0 if publish(compare(seconds, counts=not given.quick), given.json) else 1


def seconds_per_trial(case: str, trials: int, *, quick: bool) -> float:
    """Seconds per trial of a case, in this process."""
    trials = QUICK_TRIALS if quick else trials
    if case == FRESH:
        trials = QUICK_FRESH_TRIALS if quick else min(trials, FRESH_TRIALS)
    taken = ours(trials, preload=not quick) if case == OURS else tune_case(trials, **TUNE[case])
    return taken / trials


def compare(seconds: dict[str, float], *, counts: bool) -> list[Figure]:
    """The figures and their goals."""
    ours = seconds[OURS]
    return [
        at_most("overhead per trial, beside bare Tune with reuse_actors", ours, seconds["bare"], 1.3, counts=counts),
        at_least("the same, beside Tune with MLflowLoggerCallback", ours, seconds["mlflow"], 2.0, counts=counts),
        at_least("the same, beside Tune as it comes (fresh processes)", ours, seconds[FRESH], 20.0, counts=counts),
    ]


def ours(trials: int, *, preload: bool) -> float:
    """Seconds of driver, Ray executor, record store and MLflow mirror."""
    with idle_executor(SLOTS, preload=preload) as executor:
        return run_idle(idle_plan("overhead", trials), executor).seconds


def tune_case(trials: int, *, reuse: bool, with_mlflow: bool) -> float:
    """Seconds of Ray Tune by itself."""
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    if not ray.is_initialized():  # by an earlier case of a quick run; Ray ends with this process
        ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    callbacks = []
    if with_mlflow:
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        from orchestrator.tracking.mlflow_database import create_database

        create_database(TRACKING_URI)
        callbacks = [MLflowLoggerCallback(tracking_uri=TRACKING_URI, experiment_name="overhead")]
    os.environ.pop(AUTO_LOGGERS_OFF, None)
    if reuse:
        os.environ[AUTO_LOGGERS_OFF] = "1"

    def train(_config: dict[str, Any]) -> None:
        if not reuse:
            import torch  # noqa: F401 - part of the cost of a fresh process
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
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
