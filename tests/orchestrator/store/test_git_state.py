"""Which code ran: commit and changes of a checkout, and nothing where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

from orchestrator.store.git_state import CodeState, code_state, git


def commit(folder: Path) -> None:
    """A repository with one file, committed."""
    (folder / "file").write_text("one\n")
    who = ["-c", "user.name=somebody", "-c", "user.email=nobody@localhost"]
    for arguments in (["init", "-q"], ["add", "file"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def test_a_clean_checkout_has_a_commit_and_no_diff(tmp_path: Path) -> None:
    commit(tmp_path)
    state = CodeState(commit=git(tmp_path, "rev-parse", "HEAD"), diff=git(tmp_path, "diff", "HEAD"))
    assert len(state.commit) == 40
    assert state.facts() == {"commit": state.commit, "dirty": "", "diff": ""}


def test_a_change_is_told_by_its_digest(tmp_path: Path) -> None:
    commit(tmp_path)
    (tmp_path / "file").write_text("two\n")
    first = CodeState(diff=git(tmp_path, "diff", "HEAD"))
    (tmp_path / "file").write_text("three\n")
    second = CodeState(diff=git(tmp_path, "diff", "HEAD"))
    assert "+two" in first.diff
    assert first.facts()["dirty"] == "yes"
    assert len(first.digest) == 12
    assert first.digest != second.digest


def test_outside_a_repository_the_state_is_empty(tmp_path: Path) -> None:
    assert git(tmp_path, "rev-parse", "HEAD") == ""
    assert CodeState().facts() == {"commit": "", "dirty": "", "diff": ""}


def test_git_is_called_once() -> None:
    assert code_state() is code_state()
