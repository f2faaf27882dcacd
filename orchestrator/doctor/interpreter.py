"""Checks of Python: its packages, what hides them, its encoding."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from orchestrator import own_packages
from orchestrator.doctor.finding import Problem, Question

__all__ = ["check_current_folder", "check_encoding", "check_packages", "check_python_path"]

DISTRIBUTION = "contrast-sweep"
IMPORTED = {"pillow": "PIL", "ruamel.yaml": "ruamel.yaml", "huggingface_hub": "huggingface_hub"}
"""Names of packages that are imported by another name than the one they are installed by."""
ALL_LETTERS = "±≈§†Δ─"
"""What tables and messages contain."""


def check_packages(_question: Question) -> str:
    """All packages that the project needs are installed."""
    missing = [name for name in needed() if not installed(name)]
    if missing:
        raise Problem(f"not installed: {', '.join(missing)}", f"{sys.executable} -m pip install {' '.join(missing)}")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ray", "torch", "mlflow"))
    return f"Python {platform.python_version()} ({sys.executable}), {versions}"


def needed() -> list[str]:
    """Names of the distributions that the project depends on, without options."""
    try:
        listed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        listed = ["ray", "torch", "mlflow"]
    return [match[0] for text in listed if "extra ==" not in text and (match := re.match(r"[\w.-]+", text))]


def installed(name: str) -> bool:
    """Whether a distribution is installed, in any version."""
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def module_names() -> list[str]:
    """Names by which our packages and those that we need are imported."""
    return [*own_packages.NAMES, *(IMPORTED.get(name, name).partition(".")[0] for name in needed())]


def check_python_path(_question: Question) -> str:
    """No folder of PYTHONPATH has a file or folder that is imported instead of a package."""
    hiding = []
    for name in module_names():
        spec = PathFinder.find_spec(name)
        if spec is None or spec.origin is None:  # another kind of finder has it, or it is a folder, which hides nothing
            continue
        if name in own_packages.NAMES:
            is_hiding = not Path(spec.origin).is_relative_to(own_packages.FOLDER)
        else:
            is_hiding = not spec.submodule_search_locations and str(Path(spec.origin).parent) in python_path()
        hiding += [spec.origin] if is_hiding else []
    if hiding:
        what = "hides a package" if len(hiding) == 1 else "hide packages"
        raise Problem(f"{', '.join(hiding)} {what}", "rename it, or take its folder off PYTHONPATH")
    return f"PYTHONPATH hides no package ({os.pathsep.join(python_path()) or 'empty'})"


def python_path() -> list[str]:
    """The folders of PYTHONPATH."""
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def check_current_folder(_question: Question) -> str:
    """No file of the current folder is imported instead of a package."""
    here = Path.cwd()
    if str(here) == own_packages.FOLDER:
        return f"{here} holds our packages"
    names = {*module_names(), *sys.stdlib_module_names}
    found = [spec.origin for name in sorted(names) if (spec := PathFinder.find_spec(name, [str(here)])) and spec.origin]
    if found:
        files = ", ".join(Path(path).relative_to(here).as_posix() for path in found)
        commands = [
            name for name in ("orchestrator", "reports") if any(path.startswith(f"{here}/{name}") for path in found)
        ]
        use = f", and use `python -P -m {commands[0]}` until then" if commands else ""
        raise Problem(
            f"{files} in {here}: imported instead of a package by notebooks and scripts here", f"rename it{use}"
        )
    return f"nothing in {here} hides a package"


def check_encoding(_question: Question) -> str:
    """The terminal and file names can hold all letters that we write."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        ALL_LETTERS.encode(encoding)
        os.fsencode("ü")
    except UnicodeEncodeError:
        text = f"{encoding} lacks letters of the tables, which are written in another way"
        raise Problem(text, "export LC_ALL=C.UTF-8 PYTHONUTF8=1, and unset PYTHONIOENCODING") from None
    return f"{encoding}, file names {sys.getfilesystemencoding()}"
