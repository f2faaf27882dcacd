"""The wheel works without the repository: built, installed into a fresh environment and used from an empty folder."""

from __future__ import annotations

import json
import shutil
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.installed.conftest import PACKAGES, PROJECT, SETTINGS, Installed, completed

pytestmark = pytest.mark.slow


def metadata(wheel: Path) -> Message:
    """METADATA of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def test_the_wheel_has_every_file_that_the_repository_has(from_wheel: Installed) -> None:
    tracked = completed(["git", "ls-files", "-z", *PACKAGES, "search_spaces"], PROJECT).split("\0")
    with zipfile.ZipFile(from_wheel.wheel) as archive:
        packed = set(archive.namelist())
    missing = {name for name in tracked if name and not name.startswith("reports/results/")} - packed
    assert not missing
    assert {f"{package}/py.typed" for package in PACKAGES} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "benchmarks/"))]


def test_the_metadata_is_complete(from_wheel: Installed) -> None:
    found = metadata(from_wheel.wheel)
    assert (found["Name"], found["License-Expression"], found["Requires-Python"]) == (
        "contrast-sweep",
        "Apache-2.0",
        ">=3.11",
    )
    assert "Typing :: Typed" in found.get_all("Classifier", [])
    assert found.get_all("License-File") == ["LICENSE"]
    with zipfile.ZipFile(from_wheel.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        assert archive.read(name) == (PROJECT / "LICENSE").read_bytes()


def test_the_installed_packages_are_those_of_the_wheel(from_wheel: Installed, folder: Path) -> None:
    script = "".join(f"import {name}; print({name}.__file__)\n" for name in PACKAGES)
    places = from_wheel.run(folder, "-c", script).splitlines()
    assert len(places) == len(PACKAGES)
    assert all(Path(place).is_relative_to(from_wheel.root) for place in places), places


def test_a_dry_run_a_sweep_and_a_table_from_an_empty_folder(from_wheel: Installed, folder: Path) -> None:
    planned = from_wheel.run(folder, "-m", "orchestrator.sweep", "tiny.yaml", "--dry-run", "--json", *SETTINGS)
    assert [trial["row"] for trial in json.loads(planned)["trials"]] == ["w/o contrast", "with memory"]
    swept = from_wheel.run(folder, "-m", "orchestrator.sweep", "tiny.yaml", "--executor", "serial", *SETTINGS)
    assert "| with memory |" in swept
    (written,) = (folder / "reports" / "out").iterdir()
    assert written.name.startswith("tiny+")
    table = (written / "table.md").read_bytes()
    shutil.rmtree(folder / "reports")
    shown = from_wheel.run(folder, "-m", "reports", "tiny.yaml")
    assert "| with memory |" in shown
    assert (written / "table.md").read_bytes() == table
