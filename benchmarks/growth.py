"""Whether a trial costs more in a long sweep: `python -m benchmarks.growth [--json OUT] [--quick]`.

No-op trials with five reports each run in the serial executor, each sweep in its own process: 100, 1,000 and 10,000
trials with the record store, and 100 and 1,000 trials with the MLflow mirror too (`--mirrored-10000` adds 10,000 trials
and four minutes). 100 trials with the record store take less than half a second, so that sweep runs five times and the
median counts. A sweep of 400 trials on two slots of Ray shows Ray's own share, as the seconds between ends of trials
early and late in the sweep.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.idle_sweep import idle_executor, idle_plan, run_idle
from benchmarks.idle_work import IdleWork
from benchmarks.process import measure_apart
from benchmarks.report import Figure, at_most, command_line, information, publish
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord

SLOTS = 2
WITHIN = 1.2
SIZES, RAY_TRIALS = (100, 1_000, 10_000), 400
SMALLEST_RUNS = 5
"""Sweeps of the smallest size with the record store; the median counts."""
QUICK_SIZES, QUICK_RAY_TRIALS = (10, 20), 20
WAYS = {"store": "record store", "mirrored": "store and MLflow"}


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--case", choices=(*WAYS, "ray"), help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--mirrored-10000", action="store_true", help="10,000 trials with MLflow too")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(run(given.case, given.trials, quick=given.quick)))
        return 0
    sizes, ray_trials = (QUICK_SIZES, QUICK_RAY_TRIALS) if given.quick else (SIZES, RAY_TRIALS)
    found: dict[str, dict[int, Mapping[str, float]]] = {way: {} for way in WAYS}
    for way in WAYS:
        for trials in sizes if way == "store" or given.mirrored_10000 else sizes[:-1]:
            runs = SMALLEST_RUNS if way == "store" and trials == SIZES[0] else 1
            found[way][trials] = median_run(way, trials, runs)
            each, work = (found[way][trials][key] / trials for key in ("seconds", "cpu_seconds"))
            print(f"{WAYS[way]}, {trials} trials: {each:.5f} s per trial, {work:.5f} CPU s", flush=True)
    words = ("--quick",) if given.quick else ()
    ray = measure_apart("benchmarks.growth", *words, "--case", "ray", "--trials", ray_trials)
    print(f"Ray, {ray_trials} trials: {ray['seconds'] / ray_trials:.5f} s per trial", flush=True)
    return 0 if publish(compare(found, ray, ray_trials, counts=not given.quick), given.json) else 1


def median_run(case: str, trials: int, runs: int) -> Mapping[str, float]:
    """Figures of `runs` (odd) equal sweeps, each in its own process: each figure's median."""
    measured = [measure_apart("benchmarks.growth", "--case", case, "--trials", trials) for _ in range(runs)]
    return {key: statistics.median(run[key] for run in measured) for key in measured[0]}


def compare(
    found: Mapping[str, Mapping[int, Mapping[str, float]]], ray: Mapping[str, float], ray_trials: int, *, counts: bool
) -> list[Figure]:
    """Each sweep beside the smallest one, and the end of the Ray sweep beside its beginning."""
    figures = []
    for way, serial in found.items():
        small, *larger = serial
        for trials in larger:
            name = f"overhead per trial, {trials:,} trials beside {small} (serial executor, {WAYS[way]})"
            ours, beside = (serial[size]["seconds"] / size for size in (trials, small))
            figures.append(at_most(name, ours, beside, WITHIN, counts=counts))
            work, least = (serial[size]["cpu_seconds"] / size for size in (trials, small))
            figures.append(information("the same, CPU seconds of driver and mirror", work, least))
    late, early = ray["late"], ray["early"]
    name = f"overhead per trial, Ray, {ray_trials:,} trials: the last tenth beside the second"
    figures.append(at_most(name, late, early, WITHIN, counts=counts))
    return figures


def run(case: str, trials: int, *, quick: bool) -> dict[str, float]:
    """Run a sweep in this folder; returns wall and CPU seconds, and seconds per trial in the second and last tenth."""
    ends = Ends()
    if case in WAYS:
        from orchestrator.running.executors.serial import Serial

        done = run_idle(idle_plan("growth", trials), Serial(IdleWork()), [ends], mirrored=case == "mirrored")
    else:
        with idle_executor(SLOTS, preload=not quick) as executor:
            done = run_idle(idle_plan("growth", trials), executor, [ends])
    tenth = trials // 10
    return {
        "seconds": done.seconds,
        "cpu_seconds": done.cpu_seconds,
        "early": (ends.times[2 * tenth - 1] - ends.times[tenth - 1]) / tenth,
        "late": (ends.times[-1] - ends.times[-1 - tenth]) / tenth,
    }


class Ends:
    """A tracker that records when trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def planned(self, sweep: SweepRecord) -> None:
        """Nothing to record."""

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """Nothing to record."""

    def started(self, task: Task) -> None:
        """Nothing to record."""

    def reported(self, task: Task, point: Point) -> None:
        """Nothing to record."""

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Record the time."""
        self.times.append(time.perf_counter())

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """Nothing to record."""


if __name__ == "__main__":
    sys.exit(main())
