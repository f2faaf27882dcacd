"""The project as users have it: installed from a wheel, and editable, each used from a folder of the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "reports", "trainer")
SOURCES = (*PACKAGES, "search_spaces", "pyproject.toml", "README.md", "LICENSE")
"""What a build reads. It is copied first, because setuptools writes into the folder that it builds from."""
BESIDE = ("benchmarks", "tests", "docs")
"""Folders of the repository that no install may turn into packages of ours."""

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
    """The project in an environment of its own."""

    python: Path
    root: Path
    """The folder that holds the packages."""
    wheel: Path | None = None

    def command(self, folder: Path, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`python arguments` in `folder`, with nothing of the repository on the path; it must exit with `code`.

        None: with any.
        """
        outside = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MLFLOW"))}
        values = outside | {"OMP_NUM_THREADS": "1"}
        line = [str(self.python), *arguments]
        done = subprocess.run(line, cwd=folder, env=values, capture_output=True, text=True, timeout=300)
        assert code in (done.returncode, None), done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def run(self, folder: Path, *arguments: str) -> str:
        """Output of a command that must succeed."""
        return self.command(folder, *arguments).stdout


def completed(command: Sequence[str], folder: Path) -> str:
    """Output of a command that must succeed."""
    environment = {**os.environ}
    environment.pop("PYTHONPATH", None)  # would make pip find this repository installed
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str) -> list[str]:
    """A command of this environment's pip, which asks no network."""
    action, *others = arguments
    offline = ("--no-deps", "--no-index")
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", *action.split(), *offline, *others]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built, as a checkout has it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "out"))
        else:
            shutil.copy(PROJECT / name, folder / name)
    for name in BESIDE:
        (folder / name).mkdir()
    return folder


def environment_in(folder: Path) -> tuple[Path, Path]:
    """Python and site-packages of a new environment, whose dependencies are those of this one.

    Python adds the folders named in a .pth file to the path but runs no .pth files in them: dependencies are found, an
    editable install of this repository is not.
    """
    completed([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder.parent)
    python = folder / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(completed([str(python), "-c", query], folder).strip())
    dependencies = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    return python, packages


@pytest.fixture(scope="session")
def from_wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, built and installed."""
    folder = tmp_path_factory.mktemp("wheel")
    completed(pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(source)), folder)
    (wheel,) = folder.glob("*.whl")
    python, packages = environment_in(folder / "environment")
    completed(pip(f"--python {python} install", str(wheel)), folder)
    return Installed(python=python, root=packages, wheel=wheel)


@pytest.fixture(scope="session")
def editable(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """`pip install -e`."""
    folder = tmp_path_factory.mktemp("editable")
    python, _ = environment_in(folder / "environment")
    completed(pip(f"--python {python} install", "--no-build-isolation", "--editable", str(source)), folder)
    return Installed(python=python, root=source)


@pytest.fixture(params=["from_wheel", "editable"])
def installed(request: pytest.FixtureRequest) -> Installed:
    """Both, one after the other."""
    found: Installed = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, but for a search space that names a recipe of the project."""
    (tmp_path / "tiny.yaml").write_text(SPACE, encoding="utf-8")
    return tmp_path
