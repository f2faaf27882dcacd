"""Results of the shipped search spaces: their real plans, with invented figures."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.api import plan
from orchestrator.planning.adaptive.search import open_search
from orchestrator.planning.naming import plan_in
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults

FIVE = ("memory", "temperature", "sampler", "queue_size", "backbone")
CLASSES = ("road", "sidewalk", "building", "car", "pole", "sky", "bicyclist", "sign", "pedestrian", "tree", "fence")


@cache
def planned(name: str, **changes: str) -> SweepRecord:
    with TemporaryDirectory() as folder:
        return plan(Path("search_spaces") / f"{name}.yaml", run_dir=folder, **changes).record


@cache
def searched(name: str) -> SweepRecord:
    """The plan of a search with all its draws."""
    spec = read_spec(Path("search_spaces") / f"{name}.yaml")
    assert spec.search is not None
    with TemporaryDirectory() as folder:
        directory = RunDirectory(folder)
        growing = open_search(spec, spec.search, plan_in(directory, spec), directory)
        while growing.next_trial({}) is not None:
            pass
        return growing.record


def invented(sweep: SweepRecord, *, lost: int = 0, stopped: int = 0) -> SweepResults:
    """Every trial is done but the last `lost` ones, before which `stopped` ones were stopped early.

    Some rows differ from the baseline by more than its noise.
    """
    places = {row.label: place for place, row in enumerate(sweep.rows)}
    outcomes = {}
    ended = sweep.cells[: len(sweep.cells) - lost]
    for place, run in enumerate(ended):
        noise = random.Random(run.trial_id)
        shared = 0.02 * random.Random(run.seed).random()
        miou = 0.615 + 0.004 * places[run.row] + shared + 0.006 * noise.random()
        metrics = {"final/miou": miou, "final/pixel_accuracy": 0.3 + miou, "val/miou": miou - 0.01}
        metrics |= {
            "cost/train_minutes": 0.3 + 0.1 * noise.random(),
            "cost/parameters_millions": 0.68 + places[run.row],
        }
        metrics |= {f"final/iou/{name}": miou - 0.5 * noise.random() * (name == "pole") for name in CLASSES}
        is_done = place < len(ended) - stopped
        outcomes[run.trial_id] = AttemptRecord(
            trial_id=run.trial_id,
            attempt=1,
            state=State.DONE if is_done else State.STOPPED,
            started_at=0.0,
            ended_at=60.0,
            metrics=metrics if is_done else {},
        )
    return SweepResults(sweep=sweep, outcomes=outcomes)
