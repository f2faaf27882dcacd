"""The git commit and the uncommitted changes of this checkout; recorded with every attempt."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["CodeState", "code_state"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeState:
    """Commit and uncommitted changes; both are empty outside a repository."""

    commit: str = ""
    diff: str = ""
    """`git diff HEAD` as text."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the diff; empty for a clean checkout."""
        return hashlib.sha256(self.diff.encode()).hexdigest()[:12] if self.diff else ""

    def facts(self) -> dict[str, str]:
        """The entries of an attempt's `environment`: `commit`, `dirty` (`yes` or empty), and the digest as `diff`."""
        return {"commit": self.commit, "dirty": "yes" if self.diff else "", "diff": self.digest}


@cache
def code_state() -> CodeState:
    """The state of the checkout that holds this file, at the first call in this process."""
    project = Path(__file__).resolve().parents[2]
    return CodeState(commit=git(project, "rev-parse", "HEAD"), diff=git(project, "diff", "HEAD"))


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`; empty without a repository or without git."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return ""
