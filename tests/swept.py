"""A finished sweep that nobody has trained: the real commands, with made up figures, counts per image and pictures."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from orchestrator import api
from orchestrator.api import RunOptions
from orchestrator.running.task import Task
from orchestrator.store.archive.exporting import export_sweep
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.image_counts import write_image_counts
from orchestrator.store.run_directory import RunDirectory
from orchestrator.workload.loading import built_in
from reports.stats.image_bootstrap import mean_iou
from tests.end_to_end.conftest import write_tiny
from tests.orchestrator.conftest import log_and_draw_nothing

__all__ = ["FAILED_ONCE", "copied", "sweep_and_export"]

FAILED_ONCE = 1
"""The seed whose trial with a memory fails at its first attempt."""
IMAGES, CLASSES = 12, ("road", "sky", "car")


def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
    """What a worker does with a task, without training: figures follow from the configuration."""
    contrast, seed = task.config.contrast.source != "none", task.config.seed
    report(Point(step=4, metrics={"val/miou": 0.25, "train/loss": 2.0}, time=time.time(), attempt=task.attempt))
    common = {
        "trial_id": task.trial_id,
        "attempt": task.attempt,
        "started_at": 100.0,
        "ended_at": 160.0,
        "environment": {"host": "machine-of-somebody", "code": built_in().code.digests()[0], "commit": "a" * 40},
    }
    if contrast and seed == FAILED_ONCE and task.attempt == 1:
        error = ErrorRecord(kind="E", message="m", traceback="Traceback: of somebody", signature="0ddba11a")
        return AttemptRecord(state=State.USER_ERROR, error=error, **common)
    count_NCK = counts(seed, contrast)
    files = write_image_counts(
        RunDirectory(task.run_dir), task.trial_id, task.attempt, count_NCK, CLASSES, {"confusion.png": picture(seed)}
    )
    Path(task.workdir).mkdir(parents=True, exist_ok=True)
    with ZipFile(Path(task.workdir) / "last.pt", "w") as weights:
        weights.writestr("archive/data.pkl", bytes(200))
    total_CK = count_NCK.sum(axis=0).astype(np.float64)
    metrics = {"final/miou": float(mean_iou(total_CK)), "cost/train_minutes": 1.0}
    return AttemptRecord(state=State.DONE, metrics=metrics, files=files, **common)


def counts(seed: int, contrast: bool) -> np.ndarray:
    """Correct, labelled and predicted pixels of each image and class; a few more are correct with a memory."""
    draw = np.random.default_rng(seed)
    labelled_NC = draw.integers(50, 100, (IMAGES, len(CLASSES)))
    correct_NC = labelled_NC - draw.integers(10, 30, labelled_NC.shape) + 4 * contrast
    return np.stack([correct_NC, labelled_NC, labelled_NC], axis=-1)


def picture(seed: int) -> bytes:
    """A small PNG file."""
    content = BytesIO()
    Image.new("RGB", (8, 8), (seed, 0, 0)).save(content, format="PNG")
    return content.getvalue()


@contextmanager
def pretend_to_train(folder: Path) -> Iterator[RunOptions]:
    """In the body, sweeps in `folder`, the current one, train and draw nothing; yields the options to give them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("orchestrator.running.worker.run_trial", work)
        log_and_draw_nothing(patch)
        for name in [name for name in os.environ if name.startswith("MLFLOW")]:
            patch.delenv(name)
        yield RunOptions(executor="serial", out=folder / "out")


def sweep_and_export(folder: Path) -> None:
    """Finish the sweep `tiny` in an empty folder: two rows, two seeds, two kept plans; one trial failed once.

    `tiny.zip` is its archive.
    """
    write_tiny(folder)
    with pretend_to_train(folder) as options:
        assert not api.sweep("tiny.yaml", options=options).completed
        assert api.sweep("tiny.yaml", options=options).completed
    export_sweep(RunDirectory(folder / "runs"), "tiny", folder / "tiny.zip")


@contextmanager
def copied(swept: Path, folder: Path) -> Iterator[Path]:
    """In the body, the current folder is a copy of `swept` in `folder`, in which sweeps train nothing."""
    shutil.copytree(swept, folder, dirs_exist_ok=True)
    with pretend_to_train(folder):
        yield folder
