"""The source code that a sweep sends to the nodes of a cluster; data, results and credentials are never sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.errors import SweepError

__all__ = ["MAX_MEGABYTES", "runtime_env_of", "source_files"]

PACKAGES = ("orchestrator", "trainer")
"""What a worker imports. Recipe files are not needed: the resolved config is part of the task."""

EXCLUDES = ("*.?*", "__pycache__", "!*.py")
"""Gitignore patterns: of the files with a suffix, only Python source is sent."""

SECRETS = tuple(f"MLFLOW_TRACKING_{name}" for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"))
"""Blank in workers, even if the shell that started a node has them: only the driver writes to MLflow."""

MAX_MEGABYTES = 20.0
"""More source than this is a mistake: something else is in the packages' folders."""

PROJECT = Path(__file__).resolve().parents[3]


def runtime_env_of(
    empty: Path, project: Path = PROJECT, max_megabytes: float = MAX_MEGABYTES, job: str = ""
) -> dict[str, Any]:
    """Ray's `runtime_env` for workers on other machines; nodes need the dependencies installed, not this project.

    The source is taken from where this code runs, so editable and plain installations work alike. `empty` is an empty
    folder, which becomes the workers' current folder; otherwise Ray puts the driver's current folder, as a node happens
    to have it, before the source that was sent. A Ray job that has a working directory keeps it (`job`: its
    configuration as JSON, from Ray's environment). Raises SweepError when there is more source than `max_megabytes`.
    """
    sizes = {path: path.stat().st_size for folder in PACKAGES for path in source_files(project / folder)}
    megabytes = sum(sizes.values()) / 1e6
    if megabytes > max_megabytes:
        largest = max(sizes, key=lambda path: sizes[path])
        raise SweepError(
            f"{project}: {megabytes:.1f} MB of Python source to send to the cluster, the limit is {max_megabytes:g}; "
            f"the largest file is {largest.relative_to(project)}: move what is not code out of {' and '.join(PACKAGES)}"
        )
    from_job = json.loads(job).get("runtime_env") or {} if job else {}
    return {
        **({} if "working_dir" in from_job else {"working_dir": str(empty)}),
        "py_modules": [str(project / folder) for folder in PACKAGES],
        "excludes": list(EXCLUDES),
        "env_vars": dict.fromkeys(SECRETS, ""),
    }


def source_files(package: Path) -> list[Path]:
    """The files of a package that are sent."""
    return sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)
