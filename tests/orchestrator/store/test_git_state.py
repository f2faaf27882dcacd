"""Which code ran: commit and changes of a checkout, and nothing where there is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orchestrator.store.git_state import PACKAGES, CodeState, code_state, git, state_of


def commit(folder: Path, *names: str) -> None:
    """A repository with `names`, or one file, committed."""
    (folder / "file").write_text("one\n")
    who = ["-c", "user.name=somebody", "-c", "user.email=nobody@localhost"]
    for arguments in (["init", "-q"], ["add", *(names or ["file"])], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def write_packages(folder: Path) -> None:
    """Our packages with one line each."""
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("value = 1\n")


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


def test_a_repository_that_tracks_our_files_counts_and_only_our_packages_are_in_the_diff(tmp_path: Path) -> None:
    write_packages(tmp_path)
    commit(tmp_path, "file", *PACKAGES)
    assert state_of(tmp_path).facts() == {"commit": git(tmp_path, "rev-parse", "HEAD"), "dirty": "", "diff": ""}
    (tmp_path / "file").write_text("password: hunter2\n")
    assert state_of(tmp_path).diff == ""
    (tmp_path / "trainer" / "__init__.py").write_text("value = 2\n")
    diff = state_of(tmp_path).diff
    assert "+value = 2" in diff
    assert "hunter2" not in diff


def test_a_copy_below_somebody_elses_repository_has_no_state(tmp_path: Path) -> None:
    site = tmp_path / "venv" / "site-packages"
    write_packages(site)
    commit(tmp_path, "file")
    (tmp_path / "file").write_text("password: hunter2\n")
    assert git(site, "rev-parse", "HEAD"), "git itself finds the repository above"
    assert state_of(site) == CodeState()


def test_the_repository_of_a_hook_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    commit(tmp_path / "theirs")
    write_packages(tmp_path / "ours")
    commit(tmp_path / "ours", *PACKAGES)
    expected = git(tmp_path / "ours", "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))
    assert state_of(tmp_path / "ours").commit == expected
