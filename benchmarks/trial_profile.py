"""One trial by part: `python -m benchmarks.trial_profile [--root PATH] [--json OUT] [--quick]`.

A worker's trial of search_spaces/ablation_memory.yaml with both memories, once on generated scenes and once on CamVid
(camvid_lite0, a quarter of its steps), on one thread and into a run directory. Our functions are timed where one part
ends and the next begins; what they compute does not change. As on a node of a sweep, the trial is a fork of a process
that has imported the libraries. What is not training (start, evaluation, pictures, checkpoints, writing and late
imports) may take at most 15 % of its wall time.

`--root` is CamVid; by default BENCH_DATA, or ../shared/data/camvid_small beside the project. Without it that half is
left out.
"""

from __future__ import annotations

import argparse
import builtins
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.process import PROJECT, forked, measure_apart, preload_trainer
from benchmarks.report import Figure, command_line, information, publish, share_at_least, share_at_most
from benchmarks.stopwatch import Seam, Stopwatch
from benchmarks.sweep import QUICK, SPEC

ROW = "pixel + region memory"
CAMVID = Path(os.environ.get("BENCH_DATA", PROJECT.parent / "shared" / "data" / "camvid_small"))
TRIALS: Mapping[str, Mapping[str, Any]] = {
    "synthetic": {},
    "CamVid": {"recipe": "camvid_lite0", "settings": ("schedule.steps=175", "schedule.eval_every_steps=44")},
}
"""By name: how the search space is planned."""

IMPORTS = "imports"
TRAINING = ("network forward", "backward", "contrast", "criterion", "optimizer", "augmentation", "reading", "step")
"""`reading`: scenes are drawn, or files read and decoded. `step`: the rest of a step."""
OVERHEAD = (IMPORTS, "start", "evaluation of val", "evaluation of test", "pictures", "checkpoints", "writing")
EXPLAINED, NOT_TRAINING = 0.95, 0.15


def main() -> int:
    """Measure, print and write; returns 1 if a goal is missed."""
    parser = command_line(__doc__)
    parser.add_argument("--root", type=Path, default=CAMVID, help=f"CamVid (default: {CAMVID})")
    parser.add_argument("--case", nargs=3, metavar=("TRIAL", "ROOT", "QUICK"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        name, root, quick = given.case
        print(json.dumps(in_fork(name, Path(root), quick=quick == "True")))
        return 0
    figures = []
    for name in TRIALS:
        if name == "CamVid" and (given.quick or not (given.root / "train").is_dir()):
            print(f"{name}: left out ({'quick' if given.quick else f'no folder {given.root}/train'})", flush=True)
            continue
        found = measure_apart("benchmarks.trial_profile", "--case", name, given.root.resolve(), given.quick)
        figures += compare(name, found, counts=not given.quick)
    return 0 if publish(figures, given.json) else 1


def compare(name: str, found: Mapping[str, Any], *, counts: bool) -> list[Figure]:
    """Goals and parts of a trial; the ratio of a part is its share of the wall time."""
    wall, parts = found["wall"], found["seconds"]
    overhead = sum(parts.get(part, 0.0) for part in OVERHEAD)
    shown = sorted((*TRAINING, *OVERHEAD), key=lambda part: -parts.get(part, 0.0))
    return [
        share_at_most(
            f"{name} trial: not training, share of its wall time", overhead / wall, NOT_TRAINING, counts=counts
        ),
        share_at_least(f"{name} trial: explained by the parts", sum(parts.values()) / wall, EXPLAINED, counts=counts),
        information(f"{name} trial: imports before it is forked, once per node", found["imports"], wall),
        *(information(f"{name} trial: {part}", parts.get(part, 0.0), wall) for part in shown),
        *(information(f"{name} trial: {what}", number, unit="") for what, number in found["calls"].items()),
    ]


def in_fork(name: str, root: Path, *, quick: bool) -> dict[str, Any]:
    """Import what a trial needs, then train in a fork of this process; returns what `train` finds, and `imports`."""
    config, trial_id = planned(name, root, quick=quick)
    began = time.perf_counter()
    preload_trainer()
    imports = time.perf_counter() - began
    began = time.perf_counter()
    found: dict[str, Any] = forked(partial(train, config, trial_id))
    return {**found, "wall": time.perf_counter() - began, "imports": imports}


def planned(name: str, root: Path, *, quick: bool) -> tuple[Any, str]:
    """Configuration and id of the trial with both memories and seed 0."""
    from orchestrator.api import plan

    options = dict(TRIALS[name])
    settings = [*options.pop("settings", ()), *(QUICK if quick else ())]
    settings += [f"data.root={root}"] if options else []
    made = plan(SPEC, settings=settings, seeds=1, **options)
    trial_id = next(cell.trial_id for cell in made.record.cells if cell.row == ROW)
    return next(trial.config for trial in made.trials if trial.trial_id == trial_id), trial_id


def train(config: Any, trial_id: str) -> dict[str, Any]:
    """Run the trial as a worker does; returns the seconds of its parts and how often the costly functions ran."""
    from orchestrator.running.task import Task
    from orchestrator.running.worker import run_trial
    from orchestrator.store.record_store import RecordStore
    from trainer.config import Runtime

    watch = Stopwatch(inclusive=frozenset(OVERHEAD))
    store = RecordStore(Path("runs"))
    with store.lock(), watch.watching(seams(type(store), config)):
        store.start(trial_id, 1, asdict(config), time.time())
        task = Task(
            trial_id=trial_id,
            attempt=1,
            config=config,
            runtime=Runtime(device="cpu"),
            workdir=store.workdir(trial_id),
            run_dir=store.address,
        )
        record = run_trial(task, lambda point: store.append(trial_id, point))
        store.end(record)
    if record.error is not None:
        raise RuntimeError(record.error.message)
    calls = {what: sum(watch.calls[name] for name in names) for what, names in COUNTED.items()}
    return {"seconds": watch.seconds, "calls": calls}


COUNTED = {
    "evaluations": ("TrainingState.score",),
    "pictures": ("trainer.pictures.save",),
    "checkpoints": ("Checkpoints.save", "Checkpoints.save_best"),
    "fsyncs": ("os.fsync",),
}


def seams(store: type, config: Any) -> Sequence[Seam]:
    """The functions of a trial with the parts that they count for."""
    import trainer.pictures
    import trainer.run
    from orchestrator.running import worker
    from orchestrator.store import image_counts
    from trainer.checkpoint import Checkpoints
    from trainer.contrast.module import PixelContrast
    from trainer.data import open_source
    from trainer.data.loading.batches import TrainBatches
    from trainer.losses import Criterion
    from trainer.models.segmentor import Segmentor
    from trainer.step import TrainStep
    from trainer.training_state import TrainingState

    table = {
        "network forward": [(Segmentor, "forward")],
        "backward": [(TrainStep, "backward")],
        "contrast": [(TrainStep, "contrast_loss"), (TrainStep, "label_view"), (PixelContrast, "push")],
        "criterion": [(Criterion, "__call__")],
        "optimizer": [(TrainStep, "update")],
        "step": [(TrainStep, "__call__"), (TrainStep, "__init__"), (TrainingState, "finish_step")],
        "augmentation": [(TrainBatches, "fill"), (TrainBatches, "empty")],
        "reading": [(type(open_source(config.data)), "read")],
        IMPORTS: [(builtins, "__import__")],
        "start": [(trainer.run, "open_source"), (TrainingState, "start"), (worker, "environment")],
        "evaluation of val": [(TrainingState, "validate")],
        "evaluation of test": [(TrainingState, "figures")],
        "pictures": [(TrainingState, "draw")],
        "checkpoints": [(Checkpoints, "load"), (Checkpoints, "save"), (Checkpoints, "save_best")],
        "writing": [
            *((store, name) for name in ("start", "append", "end")),
            *((image_counts, name) for name in ("write_image_counts",)),
            (TrainingState, "training_point"),
        ],
    }
    counted = [("", TrainingState, "score"), ("", trainer.pictures, "save"), ("", os, "fsync")]
    return [
        *(Seam(part=part, owner=owner, name=name) for part, places in table.items() for owner, name in places),
        *(Seam(part=part, owner=owner, name=name) for part, owner, name in counted),
    ]


if __name__ == "__main__":
    sys.exit(main())
