"""Which code runs: the commit of this checkout, and what was changed in it since; recorded with every attempt."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["CodeState", "code_state"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeState:
    """Commit and uncommitted changes; both empty outside a repository."""

    commit: str = ""
    diff: str = ""
    """`git diff HEAD` as text."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of the diff; empty for a clean checkout."""
        return hashlib.sha256(self.diff.encode()).hexdigest()[:12] if self.diff else ""

    def facts(self) -> dict[str, str]:
        """What an attempt's record says of it: `commit`, `dirty` (`yes` or empty) and the digest as `diff`."""
        return {"commit": self.commit, "dirty": "yes" if self.diff else "", "diff": self.digest}


@cache
def code_state() -> CodeState:
    """The state of the checkout this file lies in, as it was when this process asked first."""
    project = Path(__file__).resolve().parents[2]
    return CodeState(commit=git(project, "rev-parse", "HEAD"), diff=git(project, "diff", "HEAD"))


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`; empty where there is no repository or no git."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return ""
