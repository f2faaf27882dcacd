"""A run directory on a file system without hard links, locks, flushes and renames of folders. 2 s."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.api import RunOptions
from orchestrator.errors import StoreError
from orchestrator.machine.atomic_file import publish
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.backends import LocalFiles
from orchestrator.store.lease import LeaseTimings
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.testing.files import AtomicFilesContract
from tests.poor_file_system import make_poor

NUMBERS = [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EINVAL]
MISSING = {errno.ENOTSUP, errno.EOPNOTSUPP}
"""Numbers that are an answer to every one of the calls."""
QUICK = LeaseTimings(settle_seconds=0.0)


class TestPoorFileSystem(AtomicFilesContract):
    @pytest.fixture(params=sorted(MISSING))
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> LocalFiles:
        make_poor(monkeypatch, request.param)
        return LocalFiles(str(tmp_path / "runs"))


@pytest.mark.parametrize("number", NUMBERS)
def test_only_one_creates_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    files = LocalFiles(str(tmp_path))
    assert [files.create("lease/1", b"one"), files.create("lease/1", b"two")] == [True, False]
    assert files.read("lease/1") == b"one"
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    assert [publish(tmp_path / name, tmp_path / "whole") for name in ("first", "second")] == [True, False]
    assert (tmp_path / "whole").read_text() == "first"


def test_a_full_disk_leaves_nothing_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_poor(monkeypatch, errno.ENOTSUP)
    files, real, flushed = LocalFiles(str(tmp_path)), os.fsync, []

    def full(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        files.create("lease/1", b"one")
    assert files.names("lease") == []
    assert files.create("lease/1", b"two")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EBUSY, errno.EPERM, errno.ENOTSUP])
def test_a_folder_that_cannot_be_moved_is_removed_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files = LocalFiles(str(tmp_path))
    files.write("trials/a/sub/x", b"1")
    files.write("trials/b/x", b"1")
    make_poor(monkeypatch, number)
    files.delete_folder("trials/a")
    assert files.names("trials") == ["b"]
    assert files.names("") == ["trials"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_a_folder_that_cannot_be_flushed_is_no_error_and_a_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files = LocalFiles(str(tmp_path))
    make_poor(monkeypatch, number)
    files.write("x", b"1")
    assert files.read("x") == b"1"

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        files.write("x", b"2")
    assert files.read("x") == b"1"


def test_one_driver_at_a_time_writes_records_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: SweepRecord, make_record: Callable[..., AttemptRecord]
) -> None:
    refused = make_poor(monkeypatch, errno.ENOTSUP)
    store, other = (RecordStore(tmp_path / "runs", lease_timings=QUICK) for _ in range(2))
    with store.lock():
        store.write_sweep(sweep)
        store.start("base0", 1, {"seed": 0}, time=1.0)
        store.append("base0", Point(step=1, metrics={"train/loss": 1.0}, time=2.0))
        store.end(make_record("base0"))
        store.compact(sweep.name)
        assert store.keep_plan(sweep.name) is not None
    with other.lock():
        assert [item.trial_id for item in other.attempts("base0")] == ["base0"]
        other.files.delete_folder("trials/base0")
    assert {"link", "flock", "fsync", "rename"} <= set(refused)


def test_a_sweep_runs_there_and_is_complete(
    tiny_space: Path, quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_poor(monkeypatch, errno.ENOTSUP)
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})
    outcome = api.sweep(tiny_space, seeds=1, options=quick_options)
    assert outcome.completed
    again = api.sweep(tiny_space, seeds=1, options=quick_options)
    assert again.outcomes == outcome.outcomes
