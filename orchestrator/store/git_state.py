"""The git commit and the uncommitted changes of this project; recorded with every attempt."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["CodeState", "code_state", "state_of"]

PACKAGES = ("orchestrator", "trainer", "reports")
"""What a recorded diff covers: other files of the repository are not ours to copy."""

OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""Variables that git sets for its hooks; with them it would look at the repository of the hook."""

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeState:
    """Commit and uncommitted changes; both are empty outside a repository that tracks our files."""

    commit: str = ""
    diff: str = ""
    """`git diff HEAD` of our packages as text; a byte that is not UTF-8 is a lone surrogate."""

    @property
    def content(self) -> bytes:
        """The diff as git wrote it."""
        return self.diff.encode(errors="surrogateescape")

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the diff; empty for a clean checkout."""
        return hashlib.sha256(self.content).hexdigest()[:12] if self.diff else ""

    def facts(self) -> dict[str, str]:
        """The entries of an attempt's `environment`: `commit`, `dirty` (`yes` or empty), and the digest as `diff`."""
        return {"commit": self.commit, "dirty": "yes" if self.diff else "", "diff": self.digest}


@cache
def code_state() -> CodeState:
    """The state of the checkout that holds this file, at the first call in this process."""
    return state_of(PROJECT)


def state_of(project: Path) -> CodeState:
    """The state of the packages in folder `project`.

    Empty unless a repository tracks them: a copy that was installed below somebody else's repository is not part of it.
    """
    if not git(project, "ls-files", "--error-unmatch", "--", "orchestrator/__init__.py"):
        return CodeState()
    commit = git(project, "rev-parse", "HEAD")
    return CodeState(commit=commit, diff=git(project, "diff", "--no-ext-diff", "HEAD", "--", *PACKAGES))


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`; empty without a repository or without git."""
    command = ["git", "-C", str(folder), *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in OF_A_HOOK}
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=10, env=environment)  # noqa: S603 - fixed arguments
        return done.stdout.decode(errors="surrogateescape").strip()  # a diff has the bytes of its files
    except (OSError, subprocess.SubprocessError):
        return ""
