"""All benchmarks, one after the other: `python -m benchmarks [--device cpu|cuda] [--json FOLDER] [--only NAME ...]`.

Each benchmark runs in its own process (`python -m benchmarks.NAME`). One table at the end lists all figures: figure,
ours, beside, ratio, goal, held or not. A benchmark that crashes is reported below the table and does not end the suite.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.page import refresh
from benchmarks.process import PROJECT, environment
from benchmarks.report import DEVICES, Figure, gpu_facts, machine, print_figures
from orchestrator.machine.own_folder import temporary_folder

__all__ = ["BENCHMARKS", "Benchmark", "main"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """A file of this folder."""

    name: str
    measures: str
    seconds: float
    """What it takes on two idle cores, or on a GPU if it measures nothing else."""
    devices: tuple[str, ...] = ("cpu",)
    """Devices that it measures."""
    slow: bool = False
    """Its quick run takes more than ten seconds, because it starts a Ray cluster."""

    @property
    def limit_seconds(self) -> float:
        """A run that takes longer is taken to hang and is killed."""
        return max(LEAST_LIMIT_SECONDS, LIMIT_FACTOR * self.seconds)


LEAST_LIMIT_SECONDS, LIMIT_FACTOR = 300.0, 3.0

BENCHMARKS = (
    Benchmark(name="scale", measures="planning, store and tables at 10,000 trials", seconds=20),
    Benchmark(
        name="cold_start",
        measures="seconds until a dry run answers, and until the first training step",
        seconds=40,
        devices=("cpu", "cuda"),
        slow=True,
    ),
    Benchmark(
        name="overhead",
        measures="what a trial costs besides training, beside Ray Tune by itself",
        seconds=245,
        slow=True,
    ),
    Benchmark(name="tracking", measures="what mirroring to MLflow costs the driver", seconds=115, slow=True),
    Benchmark(name="growth", measures="the same at 100, 1,000 and 10,000 trials", seconds=135, slow=True),
    Benchmark(name="busy", measures="busy share of two slots", seconds=75, slow=True),
    Benchmark(name="sweep", measures="a whole sweep beside the trainer in plain loops", seconds=580, slow=True),
    Benchmark(
        name="peers",
        measures="the same trials under nine other tools, also killed and started again",
        seconds=680,
        slow=True,
    ),
    Benchmark(
        name="trial_profile", measures="a trial by part: what is training and what is not", seconds=90, slow=True
    ),
    Benchmark(name="data", measures="training batches beside PIL and torchvision v1", seconds=20, slow=True),
    Benchmark(
        name="contrast_step",
        measures="time and memory of the contrast path",
        seconds=275,
        devices=("cpu", "cuda"),
        slow=True,
    ),
    Benchmark(
        name="train_step",
        measures="a training step in each arithmetic and layout",
        seconds=185,
        devices=("cpu", "cuda"),
        slow=True,
    ),
    Benchmark(name="packing", measures="eight small trials on one GPU", seconds=300, devices=("cuda",), slow=True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Result of one benchmark."""

    benchmark: str
    seconds: float
    figures: tuple[Figure, ...] = ()
    failure: str = ""
    """Its last line of output, if it produced no figures."""
    machine: dict[str, Any] = field(default_factory=dict)
    """As the benchmark itself reports it, with the load before it began."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks of a device. Returns 0 if all goals held, 1 if not, 2 for wrong usage."""
    given = parse(argv)
    chosen = [
        item for item in BENCHMARKS if given.device in item.devices and (not given.only or item.name in given.only)
    ]
    width = max(len(item.name) for item in chosen)
    for item in chosen:
        print(f"{item.name:<{width}}  {item.seconds:4.0f} s  {item.measures}")
    if not given.quick:
        minutes = sum(item.seconds for item in chosen) / 60
        print(f"about {minutes:.0f} minutes on two idle cores; tools that are not installed take none")
    began = time.perf_counter()
    outcomes = [run(item, given.device, quick=given.quick) for item in chosen]
    print()
    summarise(outcomes)
    minutes = (time.perf_counter() - began) / 60
    failed = [item.benchmark for item in outcomes if item.failure]
    missed = sum(figure.held is False for item in outcomes for figure in item.figures)
    verdict = f"{missed} goals missed" + (f", {', '.join(failed)} failed" if failed else "")
    print(f"{len(outcomes)} benchmarks in {minutes:.1f} minutes on {given.device}: {verdict}")
    if given.json is not None:
        written = write(outcomes, given.device, given.json)
        refresh(written)
        print(f"figures: {written}")
    return 1 if missed or failed else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; exits with code 2 if it is wrong or asks for a GPU that this machine does not have."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="default: cpu")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write bench_<device>_<machine>.json there")
    parser.add_argument("--only", nargs="+", action="extend", default=[], metavar="NAME", help="only these benchmarks")
    parser.add_argument("--quick", action="store_true", help="tiny sizes without goals, to check that all run")
    given = parser.parse_args(argv)
    there = [item.name for item in BENCHMARKS if given.device in item.devices]
    for name in given.only:
        if name not in there:
            parser.error(
                f"--only {name}: no such benchmark for {given.device}; choose from: {', '.join(there) or 'none'}"
            )
    if not there:
        parser.error(f"--device {given.device}: no benchmark measures it")
    if given.device == "cuda" and not gpu_facts():
        parser.error("--device cuda: nvidia-smi shows no GPU on this machine")
    return given


def run(benchmark: Benchmark, device: str, *, quick: bool, limit_seconds: float | None = None) -> Outcome:
    """Run a benchmark as a process and print its output as it arrives, with the seconds since its start."""
    limit_seconds = limit_seconds or benchmark.limit_seconds
    print(f"\n== {benchmark.name}: {benchmark.measures}", flush=True)
    with temporary_folder("benchmark") as folder:
        out = folder / "out.json"
        command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", "--device", device, "--json", str(out)]
        began = time.perf_counter()
        last, late = "", threading.Event()
        with subprocess.Popen(  # noqa: S603 - a file of this folder
            [*command, *(["--quick"] if quick else [])],
            cwd=PROJECT,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            hanging = threading.Timer(limit_seconds, end, (process, late))
            hanging.start()
            for line in process.stdout or ():
                last = line.strip() or last
                print(f"{time.perf_counter() - began:7.1f} s  {line.rstrip()}", flush=True)
        hanging.cancel()
        seconds = time.perf_counter() - began
        if late.is_set():
            return Outcome(benchmark=benchmark.name, seconds=seconds, failure=f"ended after {limit_seconds:g} s")
        if not out.exists():
            return Outcome(benchmark=benchmark.name, seconds=seconds, failure=last or f"exit code {process.returncode}")
        content = json.loads(out.read_text(encoding="utf-8"))
    figures = tuple(Figure(**item) for item in content["figures"])
    return Outcome(benchmark=benchmark.name, seconds=seconds, figures=figures, machine=content["machine"])


def end(process: subprocess.Popen[str], late: threading.Event) -> None:
    """Kill a process and set `late` for the thread that waits for it."""
    late.set()
    process.kill()


def summarise(outcomes: Sequence[Outcome]) -> None:
    """Print the table of all figures, and a line for each benchmark that failed."""
    print_figures([figure for item in outcomes for figure in item.figures])
    for item in outcomes:
        if item.failure:
            print(f"{item.benchmark}: failed: {item.failure}")


def write(outcomes: Sequence[Outcome], device: str, folder: Path) -> Path:
    """Write all figures to one file, with the duration of each benchmark and the load before it."""
    from orchestrator.store.git_state import code_state

    facts = machine()
    path = folder / f"bench_{device}_{name_of(device, facts)}.json"
    content = {
        "machine": facts,
        "code": code_state().facts(),
        "benchmarks": [
            {
                "name": item.benchmark,
                "seconds": item.seconds,
                "failure": item.failure,
                "load_at_start": item.machine.get("load_at_start"),
            }
            for item in outcomes
        ],
        "figures": [{"benchmark": item.benchmark, **asdict(figure)} for item in outcomes for figure in item.figures],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def name_of(device: str, facts: dict[str, Any]) -> str:
    """The machine in a file's name: `2cores`, `nvidia_h200`."""
    shown = str(facts.get("gpu", "gpu")) if device == "cuda" else f"{facts['cores']}cores"
    return re.sub(r"[^a-z0-9]+", "_", shown.lower()).strip("_")


if __name__ == "__main__":
    sys.exit(main())
