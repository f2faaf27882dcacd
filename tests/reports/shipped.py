"""Results of the shipped search spaces: their real plans, with invented figures."""

import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.api import plan
from orchestrator.store.records import AttemptRecord, State, SweepRecord
from orchestrator.store.sweep_results import SweepResults

FIVE = ("memory", "temperature", "sampler", "queue_size", "backbone")
CLASSES = ("road", "sidewalk", "building", "car", "pole", "sky", "bicyclist", "sign", "pedestrian", "tree", "fence")


@cache
def planned(name: str, **changes: str) -> SweepRecord:
    with TemporaryDirectory() as folder:
        return plan(Path("search_spaces") / f"{name}.yaml", run_dir=folder, **changes).record


def invented(sweep: SweepRecord, *, lost: int = 0) -> SweepResults:
    """Every trial is done but the last `lost` ones; some rows differ from the baseline by more than its noise."""
    places = {row.label: place for place, row in enumerate(sweep.rows)}
    outcomes = {}
    for run in sweep.cells[: len(sweep.cells) - lost]:
        noise = random.Random(run.trial_id)
        shared = 0.02 * random.Random(run.seed).random()
        miou = 0.615 + 0.004 * places[run.row] + shared + 0.006 * noise.random()
        metrics = {"final/miou": miou, "final/pixel_accuracy": 0.3 + miou, "val/miou": miou - 0.01}
        metrics |= {
            "cost/train_minutes": 0.3 + 0.1 * noise.random(),
            "cost/parameters_millions": 0.68 + places[run.row],
        }
        metrics |= {f"final/iou/{name}": miou - 0.5 * noise.random() * (name == "pole") for name in CLASSES}
        outcomes[run.trial_id] = AttemptRecord(
            trial_id=run.trial_id, attempt=1, state=State.DONE, started_at=0.0, ended_at=60.0, metrics=metrics
        )
    return SweepResults(sweep=sweep, outcomes=outcomes)
