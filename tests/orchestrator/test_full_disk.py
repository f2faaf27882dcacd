"""Disks that are full, over quota, out of inodes, read-only or failing, under each folder of a sweep. 8 seconds."""

from __future__ import annotations

import builtins
import errno
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator import api, sweep
from orchestrator.api import RunOptions
from orchestrator.commands.command_line import DONE, UNFINISHED, WRONG, guarded
from orchestrator.ending import Ending
from orchestrator.running.classify import classify
from orchestrator.running.driver import Driver
from orchestrator.running.failures import DISK_ERROR
from orchestrator.running.task import Task
from orchestrator.running.worker import describe, remove_partial_files
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.follower import Follower, RetryTimings
from reports.write import Reports

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


@contextmanager
def failing(folder: Path, number: int) -> Iterator[None]:
    """In the body, no file below `folder` can be opened for writing: the system reports the error `number`."""
    with pytest.MonkeyPatch.context() as patch:
        real_open, real_builtin = os.open, builtins.open

        def refuse(path: Any) -> None:
            if isinstance(path, str | os.PathLike) and Path(path).resolve().is_relative_to(folder.resolve()):
                raise OSError(number, os.strerror(number), str(path))

        def os_open(path: Any, flags: int, *given: Any, **named: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR):
                refuse(path)
            return real_open(path, flags, *given, **named)

        def builtin_open(path: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            if set(mode) & set("wax+"):
                refuse(path)
            return real_builtin(path, mode, *given, **named)

        patch.setattr(os, "open", os_open)
        patch.setattr(builtins, "open", builtin_open)
        yield


@pytest.fixture
def line(tiny_space: Path, quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A sweep of the two trials that succeed, in this process and without figures, which take seconds."""

    def few(results: SweepResults, out: Path, *_: object, **__: object) -> Reports:
        return Reports(results, out, ["markdown", "csv"])

    monkeypatch.setattr("reports.write.Reports", few)
    out = str(quick_options.out)
    return [str(tiny_space), "--out", out, "--executor", "serial", "--only", "w/o contrast"]


def when(patch: pytest.MonkeyPatch, name: str, number: int, act: Callable[[], object]) -> None:
    """Call `act` before the call `number` of a method of the driver."""
    real, calls = getattr(Driver, name), []

    def call(*given: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == number:
            act()
        return real(*given, **named)

    patch.setattr(Driver, name, call)


def done_once(line: list[str]) -> None:
    """The same command completes the sweep, and nothing was done twice."""
    assert sweep.main(line) == DONE
    directory = RunDirectory("runs")
    ids = [item.trial_id for item in directory.sweep("tiny").cells if item.row == "w/o contrast"]
    records = {key: directory.attempts(key) for key in ids}
    assert [[record.state for record in found].count(State.DONE) for found in records.values()] == [1, 1]
    assert (Path(line[2]) / "tiny" / "table.csv").exists()


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("method", ["started", "reported", "ended"])
def test_a_run_directory_that_cannot_be_written_ends_the_sweep_with_trial_file_and_remedy(
    method: str, number: int, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as faults:
        when(patch, method, 2, lambda: faults.enter_context(failing(Path("runs/trials"), number)))
        assert sweep.main(line) == UNFINISHED
    shown = capsys.readouterr().out
    (stopped,) = [text for text in shown.splitlines() if text.startswith("stopped: ")]
    assert "w/o contrast, seed 1 [" in stopped
    assert f"cannot be written ({os.strerror(number)}); " in stopped
    assert stopped.endswith(disk_remedy(OSError(number, ""), "runs"))
    assert "Traceback" not in shown
    assert (Path(line[2]) / "tiny" / "table.csv").exists(), "the table shows what was done before"
    done_once(line)


@pytest.mark.parametrize("number", ERRORS)
def test_tables_that_cannot_be_written_are_the_first_cause_and_the_same_command_writes_them(
    number: int, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(line[2]).mkdir()
    with failing(Path(line[2]), number):
        assert sweep.main(line) == UNFINISHED, "not the exit code of a wrong specification: all trials are done"
    shown = capsys.readouterr().out
    (lacking,) = [text for text in shown.splitlines() if text.startswith("not done: ")]
    assert lacking.startswith(f"not done: tables: {line[2]}/tiny/table.md: cannot be written ({os.strerror(number)}); ")
    assert lacking.endswith(disk_remedy(OSError(number, ""), line[2]))
    assert "missing: " not in shown
    done_once(line)


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("cache", ["runs/cache", "runs/sweeps/tiny/records.parquet"])
def test_a_cache_that_cannot_be_written_is_no_failure(
    cache: str, number: int, line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if cache.endswith("parquet"):
        monkeypatch.setattr(RecordStore, "compact", raising(OSError(number, os.strerror(number), cache)))
        assert sweep.main(line) == DONE
    else:
        with failing(Path(cache), number):
            assert sweep.main(line) == DONE
    shown = capsys.readouterr()
    assert os.strerror(number) not in shown.out + shown.err


def raising(error: Exception) -> Callable[..., None]:
    """A function that raises `error`."""

    def fail(*_given: object, **_named: object) -> None:
        raise error

    return fail


def test_the_steps_after_one_that_failed_are_taken(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "there")
    monkeypatch.setattr(Ending, "add_tables", raising(full))
    monkeypatch.setattr(Driver, "finish", lambda *given, **named: told.append(named))
    assert sweep.main(line) == UNFINISHED
    assert told == [{"completed": False}], "one row was asked for"
    assert "not done: tables: there: No space left on device; free space on" in capsys.readouterr().out
    with RecordStore("runs").lock():
        pass


def test_a_defect_at_the_end_keeps_its_traceback_and_no_step_from_being_taken(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ending, "add_tables", raising(ZeroDivisionError("a defect")))
    assert sweep.main(line) == UNFINISHED
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err
    with RecordStore("runs").lock():
        pass


def test_a_plan_that_cannot_be_written_is_a_line_of_its_own(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs").mkdir()
    with failing(Path("runs"), errno.ENOSPC):
        assert sweep.main(line) == WRONG, "nothing ran"
    assert "cannot be written (No space left on device); free space on " in capsys.readouterr().err
    done_once(line)


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory on `folder`; skips where none can be mounted."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def use_up(folder: Path, *, inodes: bool) -> None:
    """Use up the space, or the inodes, of a small disk."""
    with suppress(OSError):
        if inodes:
            for number in range(10_000):
                (folder / f"filler_{number}").touch()
        else:
            with (folder / "filler_0").open("wb", buffering=0) as file:
                while file.write(bytes(512)):
                    pass


@pytest.mark.parametrize("inodes", [False, True])
@pytest.mark.parametrize("place", ["runs", "out"])
def test_a_real_disk_that_is_full(
    place: str, inodes: bool, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(line[2]) if place == "out" else Path("runs")
    with small_disk(folder, "size=2m,nr_inodes=200"):
        with pytest.MonkeyPatch.context() as patch:
            when(patch, "started", 2, lambda: use_up(folder, inodes=inodes))
            assert sweep.main(line) == UNFINISHED
        shown = capsys.readouterr().out
        remedy = f"delete files on {folder.resolve()}" if inodes else f"free space on {folder.resolve()}"
        assert f"(No space left on device); {remedy}" in shown, shown
        assert ("stopped: w/o contrast, seed 1" if place == "runs" else "not done: tables: ") in shown
        for filler in folder.glob("filler_*"):
            filler.unlink()
        done_once(line)


def test_a_temporary_folder_that_is_full_keeps_no_trial_from_ending(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    with small_disk(folder, "size=2m,nr_inodes=200"):
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with monkeypatch.context() as patch:
            when(patch, "started", 2, lambda: use_up(folder, inodes=False))
            assert sweep.main(line) == DONE
        shown = capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err
        assert "missing: " not in shown.out
        (folder / "filler_0").unlink()
        done_once(line)


@pytest.mark.slow
def test_a_database_on_a_full_disk_gets_everything_once_there_is_space(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    store = f"sqlite:///{folder}/mlflow.db"
    with small_disk(folder, "size=16m,nr_inodes=200"):
        line = [*line, "--tracking-uri", store]
        timings = RetryTimings(outage_seconds=1.0, closing_retry_seconds=0.5)
        monkeypatch.setattr(  # the real one, which `quick_options` replaces, and which waits half a minute
            api, "open_follower", lambda options, name: Follower(store, options.run_dir, timings=timings)
        )
        with monkeypatch.context() as patch:
            when(patch, "started", 2, lambda: use_up(folder, inodes=False))
            assert sweep.main(line) == DONE, "what MLflow lacks is no trial that is missing"
        shown = capsys.readouterr()
        assert "Traceback" not in shown.out + shown.err
        text = " ".join(shown.out.split())
        assert "MLflow lacks " in text
        assert "the disk is full; free space on the disk of" in text, text
        (folder / "filler_0").unlink()
        done_once(line)
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            states = database.execute(
                "SELECT t.value, r.status FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'trial_id'"
            ).fetchall()
        assert sorted(state for _, state in states) == ["FINISHED", "FINISHED"], states
        assert len(dict(states)) == 2


def full() -> RuntimeError:
    """What torch raises for a checkpoint on a full disk."""
    try:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 768 vs 662")  # noqa: B904
    except RuntimeError as error:
        return error


def test_a_trial_whose_checkpoint_does_not_fit_is_lost_and_its_partial_file_goes(tmp_path: Path) -> None:
    failure = full()
    assert classify(failure) is State.LOST
    error = describe(failure, tmp_path)
    assert error.kind == DISK_ERROR
    assert error.message.startswith(f"{tmp_path}: cannot be written (No space left on device); free space on ")
    for name in ("last.pt.partial", "other.partial", "last.pt"):
        (tmp_path / name).touch()
    remove_partial_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"other.partial", "last.pt"}


def test_a_full_disk_of_a_trial_ends_the_sweep_instead_of_trying_each_trial(
    line: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.running import worker

    real = worker.run_trial

    def work(task: Task, report: Callable[..., None]) -> AttemptRecord:
        record: AttemptRecord = real(task, report)
        return AttemptRecord(
            **{name: getattr(record, name) for name in ("trial_id", "attempt", "started_at", "ended_at")},
            state=classify(full()),
            error=describe(full(), task.workdir),
        )

    with monkeypatch.context() as patch:
        patch.setattr(worker, "run_trial", work)
        assert sweep.main(line) == UNFINISHED
    shown = capsys.readouterr().out
    assert "stopped: w/o contrast, seed 0 [" in shown
    assert "cannot be written (No space left on device); free space on " in shown
    assert len(list(Path("runs/trials").iterdir())) == 1, "no second trial has started"
    done_once(line)


def test_an_error_of_the_system_names_file_and_remedy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "file"
    for number in (errno.EFBIG, *ERRORS):
        assert guarded(raising(OSError(number, os.strerror(number), str(path)))) == WRONG  # type: ignore[arg-type]
        expected = f"{path}: {os.strerror(number)}; {disk_remedy(OSError(number, ''), path)}\n"
        assert capsys.readouterr().err == expected
