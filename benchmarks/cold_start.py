"""How long a user waits for the first output: `python -m benchmarks.cold_start [--json OUT] [--quick]`.

Measures `--dry-run` of search_spaces/ablation_memory.yaml, and the whole command from its start until it prints the
loss of its first training step as an event, beside `python -c "import ray, torch, mlflow"`. Each runs in a fresh
process, the runs alternate, and the fastest of several counts, with all files in the page cache.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.process import PROJECT, environment
from benchmarks.report import Figure, at_most, below, command_line, information, publish

SPEC = PROJECT / "search_spaces" / "ablation_memory.yaml"
IMPORTS = (sys.executable, "-c", "import ray, torch, mlflow")
DRY_RUN = (sys.executable, "-m", "orchestrator.sweep", str(SPEC), "--dry-run")
SWEEP = (sys.executable, "-m", "orchestrator.sweep", str(SPEC), "--json", "--set", "schedule.steps=1")
"""Trials have one step, because the first step of several is reported together with others."""
TRIALS = 15
DRY_RUNS, ROUNDS = 5, 2


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    given = command_line(__doc__).parse_args()
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


def seconds_of(command: tuple[str, ...]) -> float:
    """Wall time of a command in an empty folder."""
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)  # noqa: S603
        return time.perf_counter() - began


def seconds_of_dry_run() -> float:
    """Wall time of a dry run, whose plan is checked."""
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        began = time.perf_counter()
        done = subprocess.run(DRY_RUN, cwd=folder, env=environment(), check=True, capture_output=True, text=True)  # noqa: S603
        seconds = time.perf_counter() - began
    assert f"{TRIALS} trials, 0 done already, {TRIALS} to run" in done.stdout, done.stdout
    return seconds


def seconds_to_first_step() -> float:
    """Wall time until the first loss is printed. Then the sweep is interrupted as by Ctrl-C, and awaited."""
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder, (Path(folder) / "log").open("w") as log:
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
            raise RuntimeError(f"the sweep ended before its first step: {(Path(folder) / 'log').read_text()[-500:]}")
        return seconds


if __name__ == "__main__":
    sys.exit(main())
