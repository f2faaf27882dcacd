"""The wheel works without the repository: built, installed into a fresh environment and used from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("orchestrator", "reports", "trainer")
SOURCES = (*PACKAGES, "search_spaces", "pyproject.toml", "README.md", "LICENSE")
"""What a build reads. It is copied first, because setuptools writes into the folder that it builds from."""
SPACE = """name: tiny
question: Does a memory help?
recipe: synthetic
method: ablation
metric: {name: final/miou, goal: maximize}
seeds: 1
baseline: w/o contrast
rows:
  w/o contrast: {contrast.source: none}
  with memory:  {contrast.memory.kind: pixel_region}
"""
SMALL = (
    *("schedule.steps=2", "schedule.batch_size=2", "schedule.eval_every_steps=2"),
    *("data.synthetic.train_images=4", "data.synthetic.val_images=2", "data.synthetic.test_images=2"),
)
SETTINGS = tuple(word for setting in SMALL for word in ("--set", setting))


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """The wheel in an environment of its own."""

    wheel: Path
    python: Path

    def run(self, folder: Path, *arguments: str) -> str:
        """Output of `python arguments` in `folder`, with nothing of the repository on the path; it must succeed."""
        outside = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MLFLOW"))}
        values = outside | {"OMP_NUM_THREADS": "1"}
        return completed([str(self.python), *arguments], folder, values)


def completed(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Output of a command that must succeed."""
    environment = {**(environment or os.environ)}
    environment.pop("PYTHONPATH", None)  # would make pip find this repository installed
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel from a copy of the sources and install it; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "out"))
        else:
            shutil.copy(PROJECT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source)]
    completed(build, folder)
    (wheel,) = folder.glob("*.whl")
    home = folder / "environment"
    completed([sys.executable, "-m", "venv", "--without-pip", str(home)], folder)
    python = home / "bin" / "python"
    completed([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], folder)
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(completed([str(python), "-c", query], folder).strip())
    # Python adds the folders named in a .pth file to the path but runs no .pth files in them: dependencies are found,
    # an editable install of this repository is not.
    dependencies = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    return Installed(wheel=wheel, python=python)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, but for a search space that names a recipe of the wheel."""
    (tmp_path / "tiny.yaml").write_text(SPACE, encoding="utf-8")
    return tmp_path


def metadata(wheel: Path) -> Message:
    """METADATA of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def test_the_wheel_has_every_file_that_the_repository_has(installed: Installed) -> None:
    tracked = completed(["git", "ls-files", "-z", *PACKAGES, "search_spaces"], PROJECT).split("\0")
    with zipfile.ZipFile(installed.wheel) as archive:
        packed = set(archive.namelist())
    missing = {name for name in tracked if name and not name.startswith("reports/results/")} - packed
    assert not missing
    assert {f"{package}/py.typed" for package in PACKAGES} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "benchmarks/"))]


def test_the_metadata_is_complete(installed: Installed) -> None:
    found = metadata(installed.wheel)
    assert (found["Name"], found["License-Expression"], found["Requires-Python"]) == (
        "contrast-sweep",
        "Apache-2.0",
        ">=3.11",
    )
    assert "Typing :: Typed" in found.get_all("Classifier", [])
    assert found.get_all("License-File") == ["LICENSE"]
    with zipfile.ZipFile(installed.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        assert archive.read(name) == (PROJECT / "LICENSE").read_bytes()


def test_the_installed_packages_are_those_of_the_wheel(installed: Installed, folder: Path) -> None:
    script = "".join(f"import {name}; print({name}.__file__)\n" for name in PACKAGES)
    places = installed.run(folder, "-c", script).splitlines()
    home = installed.python.parents[1]
    assert len(places) == len(PACKAGES)
    assert all(Path(place).is_relative_to(home) for place in places), places


def test_a_dry_run_a_sweep_and_a_table_from_an_empty_folder(installed: Installed, folder: Path) -> None:
    planned = installed.run(folder, "-m", "orchestrator.sweep", "tiny.yaml", "--dry-run", "--json", *SETTINGS)
    assert [trial["row"] for trial in json.loads(planned)["trials"]] == ["w/o contrast", "with memory"]
    swept = installed.run(folder, "-m", "orchestrator.sweep", "tiny.yaml", "--executor", "serial", *SETTINGS)
    assert "| with memory |" in swept
    (written,) = (folder / "reports" / "out").iterdir()
    assert written.name.startswith("tiny+")
    table = (written / "table.md").read_bytes()
    shutil.rmtree(folder / "reports")
    shown = installed.run(folder, "-m", "reports", "tiny.yaml")
    assert "| with memory |" in shown
    assert (written / "table.md").read_bytes() == table
