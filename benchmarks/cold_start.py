"""How long a user waits for the first output: `python -m benchmarks.cold_start [--device cuda] [--json OUT] [--quick]`.

Measures `--dry-run` of search_spaces/ablation_memory.yaml, and the whole command from its start until it prints the
loss of its first training step as an event, beside `python -c "import ray, torch, mlflow"`. Each runs in a fresh
process, the runs alternate, and the fastest of several counts, with all files in the page cache.

With `--device cuda`: the first step of a trial in a fresh process beside importing torch and opening CUDA, and what a
fresh process costs a short trial, beside one that has trained a trial before.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

from benchmarks.process import PROJECT, environment, measure_apart
from benchmarks.report import DEVICES, Figure, at_most, below, command_line, information, parse, publish
from orchestrator.machine.own_folder import temporary_folder

SPEC = PROJECT / "search_spaces" / "ablation_memory.yaml"
IMPORTS = (sys.executable, "-c", "import ray, torch, mlflow")
DRY_RUN = (sys.executable, "-m", "orchestrator.sweep", str(SPEC), "--dry-run")
SWEEP = (sys.executable, "-m", "orchestrator.sweep", str(SPEC), "--json", "--set", "schedule.steps=1")
"""Trials have one step, because the first step of several is reported together with others."""
TRIALS = 15
DRY_RUNS, ROUNDS = 5, 2

OPEN = (sys.executable, "-c", "import torch, sys; torch.ones(1, device=sys.argv[1]).item()")
SHORT_TRIAL_STEPS = 400
"""Of the trial of which a fresh process may cost a tenth: half a minute on a GPU."""
FRESH_SHARE = 0.1


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__, DEVICES)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    given = parse(parser)
    if given.trials:
        print(json.dumps(train_trials(given.device, given.trials)))
        return 0
    if given.device == "cuda":
        return 0 if publish(of_processes("cuda", quick=given.quick), given.json) else 1
    dry = min(seconds_of_dry_run() for _ in range(1 if given.quick else DRY_RUNS))
    print(f"dry run: {dry:.2f} s", flush=True)
    imports, first = [], []
    for _ in range(1 if given.quick else ROUNDS):
        imports.append(seconds_of(IMPORTS))
        first.append(seconds_to_first_step())
        print(f"imports: {imports[-1]:.2f} s; until the first step: {first[-1]:.2f} s", flush=True)
    return 0 if publish(compare(dry, min(first), min(imports), counts=not given.quick), given.json) else 1


def compare(dry: float, first: float, imports: float, *, counts: bool) -> list[Figure]:
    """The figures and their goals."""
    return [
        below("cold start of --dry-run", dry, 1.0, counts=counts),
        information("the same, beside the imports below", dry, imports),
        at_most(
            "sweep until its first training step, beside import ray, torch, mlflow", first, imports, 1.5, counts=counts
        ),
    ]


def of_processes(device: str, *, quick: bool) -> list[Figure]:
    """The first step of a fresh process, and what a fresh process costs beside one that is used again."""
    steps = 2 if quick else SHORT_TRIAL_STEPS
    opened = min(seconds_of((*OPEN, device)) for _ in range(1 if quick else ROUNDS))
    print(f"torch imported and {device} opened: {opened:.2f} s", flush=True)
    run = measure_trials(device, steps)
    first, again, trial = (run[name] for name in ("first", "again", "trial"))
    cost = max(0.0, first - again)
    return [
        at_most(
            "first step of a trial in a fresh process, beside importing torch and opening the device",
            first,
            opened,
            1.5,
            counts=not quick,
        ),
        information("the same in a process that has trained a trial", again, opened),
        Figure(
            figure=f"what a fresh process costs a trial, beside the {steps} steps of a short one",
            ours=cost,
            beside=trial,
            ratio=cost / trial,
            goal=f"at most {FRESH_SHARE:.0%} of it",
            held=None if quick else cost <= FRESH_SHARE * trial,
        ),
    ]


def measure_trials(device: str, steps: int) -> dict[str, float]:
    """`train_trials` in a fresh process; `first` in seconds since the start of the process."""
    began = time.time()
    found: dict[str, float] = measure_apart("benchmarks.cold_start", "--device", device, "--trials", steps)
    return {**found, "first": found["first"] - began}


def train_trials(device: str, steps: int) -> dict[str, float]:
    """Train two trials of one step and one of `steps` in this process.

    Returns when the first one reached its first step, in seconds since the epoch, and how long the second took to
    reach its own and the third in all, in seconds.
    """
    from trainer import Runtime, TrainConfig, train

    reached: list[float] = []
    began: list[float] = []
    for length in (1, 1, steps):
        schedule = replace(TrainConfig().schedule, steps=length, eval_every_steps=length)
        config = TrainConfig(schedule=schedule, seed=len(began))
        began.append(time.time())
        with temporary_folder("benchmark") as folder:
            train(config, Runtime(device=device), folder, lambda _step, _metrics: reached.append(time.time()))
    return {
        "first": reached[0],
        "again": next(t for t in reached if t > began[1]) - began[1],
        "trial": time.time() - began[2],
    }


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


def seconds_to_first_step() -> float:
    """Wall time until the first loss is printed. Then the sweep is interrupted as by Ctrl-C, and awaited."""
    with temporary_folder("benchmark") as folder, (folder / "log").open("w") as log:
        began = time.perf_counter()
        seconds = None
        with subprocess.Popen(  # noqa: S603
            SWEEP, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True
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
