"""Every command, from the wheel and from an editable install, in folders in which anything may lie."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.installed.conftest import BESIDE, PACKAGES, PROJECT, SETTINGS, Installed

pytestmark = pytest.mark.slow

COMMANDS = ("orchestrator", "orchestrator.sweep", "reports", "trainer.data", "trainer.golden")
SUBCOMMANDS = tuple(
    node.args[0].value
    for node in ast.walk(ast.parse((PROJECT / "orchestrator" / "__main__.py").read_text(encoding="utf-8")))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "add"
    if isinstance(node.args[0], ast.Constant)
)
HELP = (*((name,) for name in COMMANDS), *(("orchestrator", name) for name in SUBCOMMANDS), ("reports", "trace"))

HIDING = ("json", "logging", "numpy", "mlflow", "pandas", "random", "ray", "tests", "torch", "trainer", "yaml")
"""Modules that a user's files may be called like."""


def hide(folder: Path, *names: str) -> None:
    """Files that end whatever imports them."""
    for name in names:
        (folder / f"{name}.py").write_text(f"raise SystemExit('imported {name}')\n", encoding="utf-8")


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_from_a_wheel(from_wheel: Installed, tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "usage" in from_wheel.run(tmp_path, "-m", *words, "--help")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_from_an_editable_install(editable: Installed, tmp_path: Path, name: str) -> None:
    """Which has all files of the checkout; a wheel could lack one that a subcommand imports."""
    assert "usage" in editable.run(tmp_path, "-m", name, "--help")
    assert list(tmp_path.iterdir()) == []


def test_a_users_files_hide_nothing_from_a_command(installed: Installed, folder: Path) -> None:
    hide(folder, *HIDING, "reports")
    planned = installed.run(folder, "-m", "orchestrator.sweep", "tiny.yaml", "--dry-run", "--json", *SETTINGS)
    assert len(json.loads(planned)["trials"]) == 2
    assert "never run" in installed.command(folder, "-m", "orchestrator", "status", "tiny.yaml").stdout
    for name in ("reports", "trainer"):  # those of the commands below
        (folder / f"{name}.py").unlink()
    checked = installed.run(folder, "-m", "trainer.data", "check", "--data", "synthetic", "--samples", "1")
    assert "bicyclist" in checked
    assert "no sweep" in installed.command(folder, "-m", "reports", "tiny.yaml", code=2).stderr


def test_a_users_folders_hide_nothing_from_commands_and_notebooks(installed: Installed, folder: Path) -> None:
    for name in (*PACKAGES, *BESIDE, "search_spaces"):
        (folder / name / "out").mkdir(parents=True)  # reports/out is where a sweep writes its tables
    query = "import orchestrator, reports, trainer; print(orchestrator.plan, reports.styled, trainer.TrainConfig)"
    assert installed.run(folder, "-c", query).count("<") == 3
    planned = installed.run(folder, "-m", "orchestrator.sweep", "ablation_memory", "--dry-run", "--json")
    assert len(json.loads(planned)["trials"]) == 30
    assert "no sweep" in installed.command(folder, "-m", "reports", "tiny.yaml", code=2).stderr


def test_doctor(installed: Installed, folder: Path) -> None:
    hide(folder, "torch", "trainer")
    answers = json.loads(
        installed.command(folder, "-m", "orchestrator", "doctor", "tiny.yaml", "--json", code=None).stdout
    )
    found = {answer["name"]: answer for answer in answers}
    problem = found.pop("current folder")
    assert "torch.py, trainer.py in" in problem["text"]
    for name in (
        "packages",
        "PYTHONPATH",
        "run directory",
        "recipes",
        "search space",
        "weights",
        "data",
        "MLflow",
        "Ray",
    ):
        assert found[name]["ok"], found[name]
    assert str(installed.root) in found["recipes"]["text"]


@pytest.mark.parametrize("name", ["orchestrator", "reports"])
def test_a_file_with_the_name_of_a_command_needs_an_option_of_python(
    installed: Installed, folder: Path, name: str
) -> None:
    hide(folder, name)
    installed.run(folder, "-P", "-m", name, "--help")


def test_a_package_hidden_by_pythonpath_is_one_line(installed: Installed, folder: Path, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    hide(elsewhere, "trainer")
    code = f"import os, sys; os.environ['PYTHONPATH'] = {str(elsewhere)!r}; os.execv(sys.executable, [sys.executable, "
    code += "'-m', 'orchestrator.sweep', 'tiny.yaml'])"
    done = installed.command(folder, "-c", code, code=2)
    assert done.stderr == (
        f"{elsewhere}/trainer.py: hides the package 'trainer' of contrast-sweep; rename it, or take its folder off "
        "PYTHONPATH\n"
    )


def test_programs_that_import_us_keep_their_path(installed: Installed, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text("import orchestrator, reports, trainer\n", encoding="utf-8")
    (folder / "mine" / "__main__.py").write_text("import beside\n", encoding="utf-8")
    (folder / "beside.py").write_text("print('found')\n", encoding="utf-8")
    assert installed.run(folder, "-m", "mine") == "found\n"
    (folder / "script.py").write_text("import orchestrator, beside\n", encoding="utf-8")
    assert installed.run(folder, "script.py") == "found\n"
