"""The trainer's code of a git revision, as a folder."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from trainer.errors import TrainerError

__all__ = ["checkout"]


def checkout(revision: str, repository: Path, folder: Path) -> Path:
    """Write the package `trainer` of `revision`, and `orchestrator`, of which it imports a part, below `folder`.

    Returns the path of `trainer`. Raises TrainerError unless `repository` is a git repository that tracks the package
    and has the revision.
    """
    if not git(repository, "ls-files", "--", "trainer/__init__.py"):
        raise TrainerError(f"{repository}: no git repository that tracks trainer/; run this in a checkout")
    if not git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"):
        raise TrainerError(f"{revision}: no such revision in {repository}; `git log -- trainer` lists some")
    archive = git(repository, "archive", "--format=tar", revision, "--", "trainer", "orchestrator")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder / "trainer"


def git(repository: Path, *arguments: str) -> bytes:
    """Output of a git command; empty when it fails or git is missing."""
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603 - fixed arguments
    except (OSError, subprocess.CalledProcessError):
        return b""
