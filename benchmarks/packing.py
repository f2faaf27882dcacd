"""Eight small trials on one GPU: `python -m benchmarks.packing --device cuda [--root PATH] [--json OUT] [--quick]`.

Runs the same sweep of camvid_lite0 trials three times, from a cold start and with all logging: with `gpus: auto`, which
measures a trial and packs as many as fit; one trial after another; and four at a time on fixed quarters of the GPU. The
trials must give the same figures. `--quick` runs a few steps of tiny trials; with `--device cpu`, where nothing is
packed by memory, it divides CPUs instead and checks only that the benchmark runs. `--short` leaves the quarters out
and trains for 200 steps.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import draw_camvid
from benchmarks.process import environment
from benchmarks.report import Figure, at_least, command_line, parse, publish
from orchestrator.machine.own_folder import temporary_folder

GOAL = 2.5
TRIALS = 8
IMAGES = 96
TOLERANCE = {"cuda": 0.05, "cpu": 0.0}
"""How much the means of final/miou may differ: a GPU takes sums in any order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How the trials share the machine."""

    gpus: str
    cpus: str = "1"
    at_once: int | None = None


WAYS = {
    "cuda": {"packed": Way(gpus="auto"), "alone": Way(gpus="1", at_once=1), "quarters": Way(gpus="0.25")},
    "cpu": {
        "packed": Way(gpus="auto", cpus="0.5"),
        "alone": Way(gpus="0", at_once=1),
        "quarters": Way(gpus="0", cpus="0.25"),
    },
}

SPACE = """name: packing
question: How long do eight trials take on one GPU?
recipe: {recipe}
method: ablation
metric: {{name: final/miou, goal: maximize}}
seeds: {seeds}
baseline: w/o contrast
rows:
  w/o contrast: {{contrast.source: none}}
  contrast:     {{contrast.source: inter_image}}
resources: {{gpus: {gpus}, cpus: {cpus}}}
"""

TINY_RECIPE = """data:
  name: synthetic
  crop: [32, 64]
  synthetic: {train_images: 8, val_images: 2, test_images: 4, height: 32, width: 64}
model: {backbone: timm/test_resnet, head: hrnet, head_channels: 16, output_stride: 32}
contrast:
  embedding_dim: 16
  keys_per_class: 10
  anchors: {per_class: 8}
  mining: {positives: 16, negatives: 32}
  memory: {pixels_per_class: 40, regions_per_class: 8, pixels_per_image: 2}
schedule: {steps: 4, batch_size: 4, eval_every_steps: 4}
"""


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__, ("cuda", "cpu"))
    parser.add_argument("--root", type=Path, help="CamVid at 480x360; default: a look-alike, drawn for the run")
    parser.add_argument("--short", action="store_true", help="for a minute and a half: without quarters, 200 steps")
    parser.add_argument("--way", choices=("packed", "alone", "quarters"), help=argparse.SUPPRESS)
    given = parse(parser)
    if given.device == "cpu" and not given.quick:
        parser.exit(2, f"{parser.prog}: packing needs a GPU; on a CPU only --quick runs\n")
    if given.way:
        print(json.dumps(run_sweep(WAYS[given.device][given.way], given.root, quick=given.quick, short=given.short)))
        return 0
    with temporary_folder("benchmark") as folder:
        root = given.root
        if root is None and not given.quick:
            root = draw_camvid(folder / "camvid", IMAGES)
        ways = [way for way in WAYS[given.device] if not (given.short and way == "quarters")]
        options = ["--quick"] * given.quick + ["--short"] * given.short
        results = {way: measure(way, given.device, root, options, folder) for way in ways}
    check_same({way: figures for way, (_, figures) in results.items()}, TOLERANCE[given.device])
    figures = compare({way: seconds for way, (seconds, _) in results.items()}, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def measure(
    way: str, device: str, root: Path | None, options: list[str], folder: Path
) -> tuple[float, dict[str, float]]:
    """Seconds of the sweep, and final/miou by trial; runs in its own process and folder."""
    home = folder / way
    home.mkdir()
    command = [sys.executable, "-m", "benchmarks.packing", "--device", device, "--way", way]
    command += options + (["--root", str(root)] if root else [])
    values = environment() | {"OMP_NUM_THREADS": "1", "CONTRAST_SWEEP_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=home, env=values, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["seconds"]), dict(found["figures"])


def run_sweep(way: Way, root: Path | None, *, quick: bool, short: bool) -> dict[str, object]:
    """Run the sweep in the current folder from a cold start. Raises RuntimeError unless every trial is done."""
    from orchestrator.api import RunOptions, sweep
    from orchestrator.store.attempt_record import State

    Path("tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    text = SPACE.format(
        recipe="./tiny.yaml" if quick else "camvid_lite0",
        seeds=1 if quick else TRIALS // 2,
        gpus=way.gpus,
        cpus=way.cpus,
    )
    Path("packing.yaml").write_text(text, encoding="utf-8")
    settings = [] if quick else [f"data.root={root}", "model.weights=none"]
    if short and not quick:
        settings += ["schedule.steps=200", "schedule.eval_every_steps=200"]
    began = time.perf_counter()
    result = sweep("packing.yaml", settings=settings, options=RunOptions(max_concurrent=way.at_once))
    seconds = time.perf_counter() - began
    unfinished = [trial_id for trial_id, record in result.outcomes.items() if record.state is not State.DONE]
    if unfinished or not result.completed:
        raise RuntimeError(f"not done: {', '.join(unfinished) or 'some'}")
    figures = {trial_id: record.metrics["final/miou"] for trial_id, record in result.outcomes.items()}
    return {"seconds": seconds, "figures": figures}


def check_same(figures: Mapping[str, Mapping[str, float]], tolerance: float) -> None:
    """Raise unless all ways ran the same trials and the means of their figures differ by at most `tolerance`."""
    if len({frozenset(by_trial) for by_trial in figures.values()}) != 1:
        raise RuntimeError("the ways did not run the same trials")
    means = {way: sum(by_trial.values()) / len(by_trial) for way, by_trial in figures.items()}
    if max(means.values()) - min(means.values()) > tolerance:
        found = ", ".join(f"{way} {mean:.4f}" for way, mean in means.items())
        raise RuntimeError(f"the mean of final/miou differs: {found}")


def compare(seconds: Mapping[str, float], *, counts: bool) -> list[Figure]:
    """The figure with the goal, and the one beside fixed quarters."""
    packed = seconds["packed"]
    figures = [
        at_least(
            "eight trials packed on one GPU, beside one after another",
            packed,
            seconds["alone"],
            GOAL,
            counts=counts,
        ),
    ]
    if (quarters := seconds.get("quarters")) is not None:
        figures.append(
            Figure(
                figure="the same, beside fixed quarters of the GPU",
                ours=packed,
                beside=quarters,
                ratio=quarters / packed,
            )
        )
    return figures


if __name__ == "__main__":
    sys.exit(main())
