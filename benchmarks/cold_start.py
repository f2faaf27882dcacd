"""How long a user waits for the first output: `python -m benchmarks.cold_start [--device cuda] [--json OUT] [--quick]`.

Measures `--dry-run` of search_spaces/ablation_memory.yaml, and the whole command from its start until it prints the
loss of its first training step as an event, beside `python -c "import ray, torch, mlflow"`. Each runs in a fresh
process, the runs alternate, and the fastest of several counts, with all files in the page cache.

With `--device cuda`: the first step of a trial in a fresh process, beside importing torch and opening CUDA; and in a
fork of a process that has imported the libraries and has not opened CUDA, as in a sweep, beside a short trial.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

from benchmarks.process import environment, forked, measure_apart, preload_trainer
from benchmarks.report import DEVICES, Figure, at_most, below, command_line, information, parse, publish
from benchmarks.sweep import QUICK, SPEC
from orchestrator.machine.own_folder import temporary_folder

IMPORTS = (sys.executable, "-c", "import ray, torch, mlflow")
DRY_RUN = (sys.executable, "-m", "orchestrator.sweep", str(SPEC), "--dry-run")
SWEEP = (sys.executable, "-m", "orchestrator.sweep", str(SPEC), "--json", "--set", "schedule.steps=1")
"""Trials have one step, because the first step of several is reported together with others."""
QUICK_SWEEP = (*SWEEP[:-2], *(word for setting in QUICK for word in ("--set", setting)))
TRIALS = 30
DRY_RUNS, ROUNDS = 5, 2

OPEN = (sys.executable, "-c", "import torch, sys; torch.ones(1, device=sys.argv[1]).item()")
SHORT_TRIAL_STEPS = 400
"""Of the trial of which its start may cost a tenth: half a minute on a GPU."""
START_SHARE = 0.1


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__, DEVICES)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--forked", action="store_true", help=argparse.SUPPRESS)
    if (case := parser.parse_args()).trials:  # before `parse`, which opens CUDA: a fork could not use it then
        train = partial(in_forks if case.forked else train_trial, case.device, case.trials, quick=case.quick)
        print(json.dumps(train()))
        return 0
    given = parse(parser)
    if given.device == "cuda":
        return 0 if publish(of_processes("cuda", quick=given.quick), given.json) else 1
    dry = min(seconds_of_dry_run() for _ in range(1 if given.quick else DRY_RUNS))
    print(f"dry run: {dry:.2f} s", flush=True)
    imports, first = [], []
    for _ in range(1 if given.quick else ROUNDS):
        imports.append(seconds_of(IMPORTS))
        first.append(seconds_to_first_step(QUICK_SWEEP if given.quick else SWEEP))
        print(f"imports: {imports[-1]:.2f} s; until the first step: {first[-1]:.2f} s", flush=True)
    return 0 if publish(compare(dry, min(first), min(imports), counts=not given.quick), given.json) else 1


def compare(dry: float, first: float, imports: float, *, counts: bool) -> list[Figure]:
    """The figures and their goals."""
    return [
        below("cold start of --dry-run", dry, 1.0, counts=counts),
        information("the same, beside the imports below", dry, imports),
        at_most(
            "sweep until its first training step, beside import ray, torch, mlflow", first, imports, 1.6, counts=counts
        ),
    ]


def of_processes(device: str, *, quick: bool) -> list[Figure]:
    """The first step of a trial in a fresh process, and in a fork of one that has imported the libraries."""
    steps = 2 if quick else SHORT_TRIAL_STEPS
    opened = min(seconds_of((*OPEN, device)) for _ in range(1 if quick else ROUNDS))
    print(f"torch imported and {device} opened: {opened:.2f} s", flush=True)
    began = time.time()
    words = ("benchmarks.cold_start", "--device", device, *(("--quick",) if quick else ()))
    fresh = measure_apart(*words, "--trials", 1)["first"] - began
    fork = measure_apart(*words, "--trials", steps, "--forked")
    return [
        at_most(
            "first step of a trial in a fresh process, beside importing torch and opening the device",
            fresh,
            opened,
            1.5,
            counts=not quick,
        ),
        information("the same in a fork of a process that has imported the libraries", fork["first"], opened),
        Figure(
            figure=f"first step of a trial in a fork, beside the {steps} steps of a short one",
            ours=fork["first"],
            beside=fork["trial"],
            ratio=fork["first"] / fork["trial"],
            goal=f"at most {START_SHARE:.0%} of it",
            held=None if quick else fork["first"] <= START_SHARE * fork["trial"],
        ),
    ]


def in_forks(device: str, steps: int, *, quick: bool) -> dict[str, float]:
    """Import the libraries; then a trial of one step and one of `steps`, each in a fork of this process.

    Returns seconds from the fork: until the `first` step of the short one, and until the end of the other `trial`.
    """
    preload_trainer()
    began = time.time()
    first = forked(partial(train_trial, device, 1, quick=quick))["first"] - began
    began = time.time()
    return {"first": first, "trial": forked(partial(train_trial, device, steps, quick=quick))["end"] - began}


def train_trial(device: str, steps: int, *, quick: bool) -> dict[str, float]:
    """Train a trial in this process; returns when its `first` step was reported, and its `end`, since the epoch."""
    from trainer import Runtime, TrainConfig, train

    reached: list[float] = []
    config = TrainConfig(schedule=replace(TrainConfig().schedule, steps=steps, eval_every_steps=steps))
    if quick:
        small = {
            "data": replace(config.data, crop=(32, 32)),
            "model": replace(config.model, backbone="timm/test_resnet"),
        }
        config = replace(config, **small)
    with temporary_folder("benchmark") as folder:
        train(config, Runtime(device=device), folder, lambda _step, _metrics: reached.append(time.time()))
    return {"first": reached[0], "end": time.time()}


def seconds_of(command: tuple[str, ...]) -> float:
    """Wall time of a command in an empty folder."""
    with temporary_folder("benchmark") as folder:
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - began


def seconds_of_dry_run() -> float:
    """Wall time of a dry run, whose plan is checked."""
    with temporary_folder("benchmark") as folder:
        began = time.perf_counter()
        done = subprocess.run(DRY_RUN, cwd=folder, env=environment(), check=True, capture_output=True, text=True)  # noqa: S603
        seconds = time.perf_counter() - began
    assert f"{TRIALS} trials, 0 done already, {TRIALS} to run" in done.stdout, done.stdout
    return seconds


def seconds_to_first_step(command: tuple[str, ...]) -> float:
    """Wall time until a sweep prints its first loss. Then the sweep is interrupted as by Ctrl-C, and awaited."""
    with temporary_folder("benchmark") as folder, (folder / "log").open("w") as log:
        began = time.perf_counter()
        seconds = None
        with subprocess.Popen(  # noqa: S603
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True
        ) as sweep:
            for line in sweep.stdout or ():
                event = json.loads(line)
                if seconds is None and event["event"] == "reported":
                    seconds = time.perf_counter() - began
                    assert event["metrics"]["train/loss"] > 0, line
                    sweep.send_signal(signal.SIGINT)
        if seconds is None:
            raise RuntimeError(f"the sweep ended before its first step: {(folder / 'log').read_text()[-500:]}")
        return seconds


if __name__ == "__main__":
    sys.exit(main())
