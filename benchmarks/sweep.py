"""A sweep beside loops: `python -m benchmarks.sweep [--json OUT] [--quick]`.

Runs the trials of search_spaces/ablation_memory.yaml on generated scenes, two at a time: the user's command from its
start to its exit, with record store, MLflow, tables and figures. Beside it are two processes that call the same trainer
in a plain loop over the trials and keep the metrics in memory: one with two threads, and one with one thread. A trial
of the sweep has one thread, so the metrics of the loop with one thread must be equal bit for bit. With two threads sums
are taken in another order.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.process import PROJECT, environment, measure_apart
from benchmarks.report import Figure, at_most, command_line, information, publish
from orchestrator.machine.own_folder import temporary_folder

SPEC = PROJECT / "search_spaces" / "ablation_memory.yaml"
QUICK = (
    *("schedule.steps=2", "schedule.eval_every_steps=2", "schedule.batch_size=2", "data.crop=[32, 32]"),
    *("model.backbone=timm/test_resnet", "model.weights=none"),
    *("data.synthetic.train_images=4", "data.synthetic.val_images=1", "data.synthetic.test_images=2"),
    *("data.synthetic.height=32", "data.synthetic.width=32"),
)
"""Settings of a quick run."""
SLOTS = 2
LIMITS = {SLOTS: 0.82, 1: 0.62}
"""By the threads of a loop: what the sweep may take of its time."""
COMPARED = ("final/", "val/", "contrast/")
"""Groups of metrics that the configuration determines; the others are times."""

Metrics = Mapping[str, Mapping[str, float]]
"""By trial id."""


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--loop", nargs=2, metavar=("PLAN", "THREADS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.loop:
        print(json.dumps(loop(Path(given.loop[0]), int(given.loop[1]))))
        return 0
    with temporary_folder("benchmark") as folder:
        figures = measure(folder, quick=given.quick)
    return 0 if publish(figures, given.json) else 1


def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """Run the sweep in `folder`, then the loops, and compare their metrics."""
    settings, seeds = (QUICK, 1) if quick else ((), None)
    trials = planned(settings, seeds)
    options = [
        "--name",
        SPEC.stem,
        "--max-concurrent",
        str(SLOTS),
        *(word for setting in settings for word in ("--set", setting)),
    ]
    options += ["--seeds", str(seeds)] if seeds else []
    ours = run_sweep(folder, options)
    print(f"sweep of {len(trials)} trials: {ours:.1f} s", flush=True)
    found = metrics_of(folder, [trial_id for trial_id, _ in trials])
    figures = []
    name = f"a sweep of {len(trials)} trials from cold on {SLOTS} slots, all logging, beside a loop with"
    for threads, limit in LIMITS.items():
        if quick and threads > 1:
            continue
        beside, expected = run_loop(folder, trials, threads)
        print(f"loop of {len(trials)} trials with {threads} thread(s): {beside:.1f} s", flush=True)
        figures.append(at_most(f"{name} {threads} thread(s)", ours, beside, limit, counts=not quick))
        if threads == 1:
            require_equal(found, expected)
            figures.append(information(f"trials with the bits of the loop, of {len(expected)}", len(expected), unit=""))
        else:
            difference = largest_difference(found, expected)
            figures.append(
                information(f"largest difference of mIoU to the loop with {threads} threads", difference, unit="")
            )
    return figures


def require_equal(found: Metrics, expected: Metrics) -> None:
    """Raise RuntimeError unless all metrics that the configuration determines are equal bit for bit."""
    if differing := differences(found, expected):
        raise RuntimeError(f"the sweep's metrics differ from the loop's: {', '.join(differing[:5])}")


def planned(settings: Sequence[str], seeds: int | None) -> list[tuple[str, Any]]:
    """Ids and configurations of the sweep's trials."""
    from orchestrator.api import plan

    return [(trial.trial_id, trial.config) for trial in plan(SPEC, settings=settings, seeds=seeds).trials]


def run_sweep(folder: Path, options: Sequence[str]) -> float:
    """Wall time of the whole command. Raises RuntimeError unless all trials are done."""
    command = [sys.executable, "-m", "orchestrator.sweep", str(SPEC), *options]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)  # noqa: S603
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError("the sweep: " + " | ".join((done.stdout + done.stderr).splitlines()[-5:]))
    return seconds


def metrics_of(folder: Path, trial_ids: Sequence[str]) -> Metrics:
    """The metrics in the sweep's records. Raises RuntimeError if the MLflow runs differ from them."""
    from orchestrator.commands.sync import differences as unequal
    from orchestrator.store.run_directory import RunDirectory

    lacking = unequal(folder / "runs", SPEC.stem, f"sqlite:///{folder / 'mlflow.db'}")
    if lacking:
        raise RuntimeError(f"MLflow differs from the store: {lacking[:3]}")
    return {trial_id: record.metrics for trial_id, record in RunDirectory(folder / "runs").outcomes(trial_ids).items()}


def run_loop(folder: Path, trials: Sequence[tuple[str, Any]], threads: int) -> tuple[float, Metrics]:
    """Wall time of a process that trains these trials one after the other, and their metrics."""
    plan = folder / "plan.pickle"
    plan.write_bytes(pickle.dumps(trials))
    began = time.perf_counter()
    metrics: Metrics = measure_apart("benchmarks.sweep", "--loop", plan, threads)
    return time.perf_counter() - began, metrics


def loop(plan: Path, threads: int) -> dict[str, dict[str, float]]:
    """Train the trials as a user without an orchestrator would."""
    from trainer.config import Runtime
    from trainer.run import train

    metrics = {}
    for trial_id, config in pickle.loads(plan.read_bytes()):  # noqa: S301 - written by our parent
        points: list[tuple[int, dict[str, float]]] = []
        runtime = Runtime(device="cpu", threads=threads)
        result = train(config, runtime, Path(trial_id), partial(keep, points))
        metrics[trial_id] = result.metrics
    return metrics


def keep(points: list[tuple[int, dict[str, float]]], step: int, values: dict[str, float]) -> None:
    """Append a point of a learning curve."""
    points.append((step, values))


def differences(found: Metrics, expected: Metrics) -> list[str]:
    """Trial and metric of all values that are not equal bit for bit."""
    names = [(trial_id, name) for trial_id in expected for name in expected[trial_id] if name.startswith(COMPARED)]
    return [f"{trial_id} {name}" for trial_id, name in names if found[trial_id].get(name) != expected[trial_id][name]]


def largest_difference(found: Metrics, expected: Metrics) -> float:
    """Largest difference of a trial's mIoU on the test split."""
    return max(abs(found[trial_id]["final/miou"] - metrics["final/miou"]) for trial_id, metrics in expected.items())


if __name__ == "__main__":
    sys.exit(main())
