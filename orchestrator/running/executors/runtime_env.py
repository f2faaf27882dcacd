"""What a sweep sends to the nodes of a cluster: the source of this project. Data, runs and credentials stay at home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.errors import SweepError

__all__ = ["MAX_MEGABYTES", "shipment", "source_files"]

PACKAGES = ("orchestrator", "trainer")
"""What a worker imports. A recipe needs no file there: its resolved config is part of the task."""

EXCLUDES = ("*.?*", "__pycache__", "!*.py")
"""In gitignore's language: no file with a suffix travels but Python source; folders have none."""

SECRETS = tuple(f"MLFLOW_TRACKING_{name}" for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"))
"""Blank in workers, also where the shell that started a node has them: the driver alone writes MLflow."""

MAX_MEGABYTES = 20.0
"""More than so much source is a mistake: something was put into the packages' folders that does not belong there."""

PROJECT = Path(__file__).resolve().parents[3]


def shipment(
    empty: Path, project: Path = PROJECT, max_megabytes: float = MAX_MEGABYTES, job: str = ""
) -> dict[str, Any]:
    """Ray's `runtime_env` for workers on other machines; nodes need the dependencies installed, not the project.

    Taken from where this code runs, so it is the same for an editable and a plain installation. `empty`, a folder,
    becomes the current one of workers: else Ray lets the driver's current folder, as a node happens to have it, go
    before the source sent. A Ray job that has a working directory (`job`: its configuration as JSON, from Ray's
    environment) keeps it. Raises SweepError when there is more source than there can be.
    """
    sizes = {path: path.stat().st_size for folder in PACKAGES for path in source_files(project / folder)}
    megabytes = sum(sizes.values()) / 1e6
    if megabytes > max_megabytes:
        largest = max(sizes, key=lambda path: sizes[path])
        raise SweepError(
            f"{project}: {megabytes:.1f} MB of Python source to send to the cluster, more than {max_megabytes:g}; "
            f"the largest is {largest.relative_to(project)}: move what is no code out of {' and '.join(PACKAGES)}"
        )
    given = json.loads(job).get("runtime_env") or {} if job else {}
    return {
        **({} if "working_dir" in given else {"working_dir": str(empty)}),
        "py_modules": [str(project / folder) for folder in PACKAGES],
        "excludes": list(EXCLUDES),
        "env_vars": dict.fromkeys(SECRETS, ""),
    }


def source_files(package: Path) -> list[Path]:
    """The files of a package that travel."""
    return sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)
