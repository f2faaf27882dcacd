"""Public names mean the same thing whatever was imported before."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

PACKAGES = ("orchestrator", "trainer", "reports")
PROGRAM = """
import sys
{before}
from orchestrator import plan, sweep
from orchestrator.errors import SweepError
for name, function in (("plan", plan), ("sweep", sweep)):
    try:
        function("nowhere.yaml")
    except SweepError as error:
        print(name, str(error).partition(":")[0])
{after}
"""
"""Calls both functions of the API."""


def modules(package: str) -> list[str]:
    """All modules of a package but its command lines, which run when they are imported."""
    found = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
    return [item.name for item in found if not item.name.endswith("__main__")]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_name_is_no_bare_module_once_everything_is_imported(package: str) -> None:
    for other in PACKAGES:
        for name in modules(other):
            importlib.import_module(name)
    for name in [package, *modules(package)]:
        module = sys.modules[name]
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            assert callable(value) or not isinstance(value, ModuleType), f"{name}.{public} is a module"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "import orchestrator.sweep; assert sweep is orchestrator.sweep is sys.modules['orchestrator.sweep']"),
        ("import orchestrator.sweep", "assert orchestrator.sweep.main and sweep is orchestrator.sweep"),
        ("import orchestrator.sweep as module", "assert module is sweep and callable(module.main)"),
        ("from orchestrator.sweep import main", "from orchestrator.sweep import main"),
        ("from orchestrator import api", "assert api.plan is plan"),
        ("import orchestrator.__main__", ""),
    ],
)
def test_the_api_is_called_after_any_import(before: str, after: str) -> None:
    program = PROGRAM.format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.split("\n")) == (0, ["plan nowhere.yaml", "sweep nowhere.yaml", ""]), (
        done.stderr
    )
