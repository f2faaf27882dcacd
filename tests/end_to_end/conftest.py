"""A folder to sweep in, a search space whose trials take a second, and the command line as a process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.__main__ import main as orchestrator_main
from orchestrator.sweep import main as sweep_main
from reports.__main__ import main as reports_main
from trainer.data.__main__ import main as data_main

PROJECT = Path(__file__).resolve().parents[2]

TINY_RECIPE = """
data:
  name: synthetic
  crop: [32, 64]
  synthetic: {train_images: 8, val_images: 2, test_images: 4, height: 32, width: 64}
model: {backbone: timm/test_resnet, head: hrnet, head_channels: 16, output_stride: 32}
contrast:
  warmup_fraction: 0.25
  embedding_dim: 16
  keys_per_class: 10
  anchors: {per_class: 8}
  mining: {positives: 16, negatives: 32}
  memory: {pixels_per_class: 40, regions_per_class: 8, pixels_per_image: 2}
schedule: {steps: 8, batch_size: 4, eval_every_steps: 4}
"""

TINY_SPACE = """
name: tiny
question: Does a memory help?
recipe: ./tiny_recipe.yaml
method: ablation
metric: {name: final/miou, goal: maximize}
seeds: 2
baseline: w/o contrast
rows:
  w/o contrast:          {contrast.source: none}
  pixel + region memory: {contrast.memory.kind: pixel_region}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test: search space, recipe, and later runs/, reports/ and mlflow.db."""
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_tiny(folder: Path) -> None:
    """The tiny search space and its recipe."""
    (folder / "tiny_recipe.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    (folder / "tiny.yaml").write_text(TINY_SPACE, encoding="utf-8")


@pytest.fixture
def database(folder: Path, migrated: Path) -> None:
    """MLflow's database in the folder, which a sweep need not create."""
    shutil.copy(migrated, folder / "mlflow.db")


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(folder: Path) -> Command:
    """`command("orchestrator.sweep", "tiny.yaml", ...)`: python -m in the folder, as a user would."""

    return partial(run_module, folder)


MAINS: dict[str, Callable[[Sequence[str]], int]] = {
    "orchestrator": orchestrator_main,
    "orchestrator.sweep": sweep_main,
    "reports": reports_main,
    "trainer.data": data_main,
}


@pytest.fixture
def command_here(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command` in the process of the test, which has imported it already; a process of its own takes seconds."""

    def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = MAINS[module](arguments)
        output, errors = capsys.readouterr()
        return subprocess.CompletedProcess([module, *arguments], code, output, errors)

    return run


def run_module(
    folder: Path, module: str, *arguments: str, python: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """`python -m module` in `folder`, with options for Python itself."""
    line = [sys.executable, *python, "-m", module, *arguments]
    return subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)


def environment() -> dict[str, str]:
    """The environment of a user: one thread a process, no tracking server."""
    values = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    return values | {"OMP_NUM_THREADS": "1"}


def attempts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """All attempt records in the folder's store, by trial id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("runs/trials/*/attempt_*.json")):
        found.setdefault(path.parent.name, []).append(json.loads(path.read_text(encoding="utf-8")))
    return found


def processes_in(*folders: Path) -> dict[int, str]:
    """Other processes that work or have files open below the folders, and their command lines.

    Ray's workers leave the current folder, but write their logs below RAY_TMPDIR.
    """
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            places = [(entry / "cwd").readlink(), *(item.readlink() for item in (entry / "fd").iterdir())]
            if int(entry.name) != os.getpid() and any(place.is_relative_to(top) for place in places for top in folders):
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found
