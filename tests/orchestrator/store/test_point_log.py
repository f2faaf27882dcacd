"""Points in chunks: few objects, a bounded delay, complete at the end."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import Point
from orchestrator.store.backends import Files, LocalFiles, open_files
from orchestrator.store.point_log import AppendedPoints, ChunkedPoints
from orchestrator.store.run_directory import RunDirectory

HOUR = 3600.0


def allow() -> None:
    """Nobody has taken over."""


def steps(run_dir: str | Path) -> list[int]:
    return [point.step for point in RunDirectory(run_dir).points("a")]


@pytest.fixture
def files(memory: str) -> Files:
    return open_files(memory)


def test_a_trial_that_never_started_has_no_points(memory: str) -> None:
    assert steps(memory) == []


def test_chunks_are_joined_in_order(memory: str, files: Files) -> None:
    curves = ChunkedPoints(files, allow, delay_seconds=HOUR, chunk_points=4)
    for step in range(11):
        curves.append("a", Point(step=step, metrics={"train/loss": 1 / (step + 1)}))
    for step in (8, 12):
        curves.append("a", Point(step=step, metrics={}, attempt=2))
    curves.close()
    assert steps(memory) == [*range(11), 8, 12]
    assert sorted(files.names("trials/a")) == [
        "points_001_00001.jsonl",
        "points_001_00002.jsonl",
        "points_001_00003.jsonl",
        "points_002_00001.jsonl",
    ]


def test_the_first_point_is_written_at_once_and_others_with_a_full_chunk_or_the_timer(
    memory: str, files: Files
) -> None:
    curves = ChunkedPoints(files, allow, delay_seconds=HOUR, chunk_points=4)
    curves.append("a", Point(step=0, metrics={}))
    assert steps(memory) == [0]
    curves.append("a", Point(step=1, metrics={}))
    curves.append("a", Point(step=2, metrics={}))
    assert steps(memory) == [0]
    curves.append("a", Point(step=3, metrics={}))
    assert steps(memory) == [0, 1, 2, 3]
    curves.append("a", Point(step=4, metrics={}))
    assert steps(memory) == [0, 1, 2, 3]
    curves.write_all()
    assert steps(memory) == [0, 1, 2, 3, 4]
    curves.append("a", Point(step=5, metrics={}))
    curves.flush("a")
    assert steps(memory) == [0, 1, 2, 3, 4, 5]
    curves.close()


def test_a_reader_that_keeps_offsets_gets_every_point_once(memory: str, files: Files) -> None:
    curves = ChunkedPoints(files, allow, delay_seconds=HOUR, chunk_points=4)
    directory, offsets, found = RunDirectory(memory), {}, []
    for number in range(23):
        curves.append("a", Point(step=number, metrics={}, attempt=1 + number // 10))
        if number % 3 == 0:
            curves.write_all()
        if number % 5 == 0:
            found += [point.step for point in directory.points("a", offsets)]
    curves.close()
    found += [point.step for point in directory.points("a", offsets)]
    assert found == list(range(23))
    assert list(directory.points("a", offsets)) == []


def test_complete_chunks_are_not_read_again(memory: str, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = ChunkedPoints(files, allow, delay_seconds=HOUR, chunk_points=4)
    directory, offsets, read = RunDirectory(memory), {}, []
    for step in range(9):
        curves.append("a", Point(step=step, metrics={}))
    curves.write_all()
    assert len(list(directory.points("a", offsets))) == 9
    monkeypatch.setattr(directory.files, "read", lambda key, start=0: read.append((key, start)))
    list(directory.points("a", offsets))
    assert [key for key, _ in read] == ["trials/a/points_001_00003.jsonl"]
    assert read[0][1] > 0
    curves.close()


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    directory, offsets = RunDirectory(tmp_path), {}
    path = directory.trial_folder("a") / "points.jsonl"
    path.parent.mkdir(parents=True)
    curves = AppendedPoints(LocalFiles(str(tmp_path)))
    curves.append("a", Point(step=1, metrics={}))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:10])
    assert [point.step for point in directory.points("a", offsets)] == [1]
    path.write_bytes(whole + whole[:-1])
    assert [point.step for point in directory.points("a", offsets)] == [1]
    curves.append("a", Point(step=2, metrics={}))
    path.write_bytes(path.read_bytes() + whole[:10])
    assert [point.step for point in directory.points("a", offsets)] == [2]
    curves.append("a", Point(step=3, metrics={}))  # after a crash in mid-line
    assert [point.step for point in directory.points("a", offsets)] == [3]


def test_the_timer_writes_a_point(memory: str, files: Files) -> None:
    curves = ChunkedPoints(files, allow, delay_seconds=0.01)
    curves.append("a", Point(step=0, metrics={}))
    curves.append("a", Point(step=1, metrics={}))
    for _ in range(1000):
        if steps(memory) == [0, 1]:
            break
        threading.Event().wait(0.01)
    assert steps(memory) == [0, 1]
    curves.close()


@pytest.mark.parametrize("points", [10, 100, 1000])
def test_a_write_carries_a_bounded_number_of_points(files: Files, points: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(files, "write", lambda key, content: written.append(content.count(b"\n")))
    curves = ChunkedPoints(files, allow, delay_seconds=HOUR)
    for step in range(points):
        curves.append("a", Point(step=step, metrics={}))
    curves.close()
    assert max(written) <= 64
    assert len(written) <= 2 + points / 64


def test_points_that_cannot_be_written_are_kept_and_raise_at_the_end(
    memory: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves = ChunkedPoints(files, allow, delay_seconds=HOUR)
    curves.append("a", Point(step=0, metrics={}))
    curves.append("a", Point(step=1, metrics={}))

    def refuse(key: str, content: bytes) -> None:
        raise StoreError("cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", refuse)
        curves.write_all()
        with pytest.raises(StoreError, match="cannot be reached"):
            curves.flush("a")
    curves.close()
    assert steps(memory) == [0, 1]


def test_a_driver_that_was_replaced_writes_no_chunk(memory: str, files: Files) -> None:
    refusals: list[Callable[[], None]] = []

    def check() -> None:
        for refuse in refusals:
            refuse()

    def lost() -> None:
        raise StoreError("lost its lease")

    curves = ChunkedPoints(files, check, delay_seconds=HOUR)
    curves.append("a", Point(step=0, metrics={}))
    curves.append("a", Point(step=1, metrics={}))
    refusals.append(lost)
    with pytest.raises(StoreError, match="lost its lease"):
        curves.close()
    assert steps(memory) == [0]


def test_the_cost_of_appending_does_not_depend_on_the_length_of_the_curve(tmp_path: Path) -> None:
    """Bytes read and written by an append do not depend on what is there, of this trial or of others."""
    curves = AppendedPoints(LocalFiles(str(tmp_path)))
    costs = []
    for step in range(200):
        before = io_bytes()
        curves.append("a", Point(step=100 + step, metrics={}))
        costs.append([after - first for after, first in zip(io_bytes(), before, strict=True)])
    assert max(read for read, _ in costs) < 200, "what the counter itself reads, and one byte"
    assert len({written for _, written in costs}) == 1
    assert steps(tmp_path) == [100 + step for step in range(200)]


def io_bytes() -> tuple[int, int]:
    """Bytes this thread has read and written so far."""
    path = Path("/proc/thread-self/io")
    if not path.exists():
        pytest.skip("this system does not count a thread's bytes")
    values = dict(line.split(": ") for line in path.read_text().splitlines())
    return int(values["rchar"]), int(values["wchar"])
