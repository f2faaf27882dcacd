"""What reading ten thousand trials opens, counted; and records that are damaged."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_files import ATTEMPT_FILE
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import POINT_FILE, RunDirectory, files_of
from orchestrator.store.sweep_record import SweepRecord

MakeRecord = Callable[..., AttemptRecord]


class Watcher:
    """Names of the files that are opened and the folders that are listed below a folder, while it looks."""

    def __init__(self) -> None:
        self.root = ""
        self.opened: list[str] = []
        self.listed: list[str] = []

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.root and event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(self.root):
            (self.opened if event == "open" else self.listed).append(str(arguments[0]).removeprefix(self.root + "/"))


WATCHER = Watcher()
sys.addaudithook(WATCHER.hear)  # for ever: an audit hook cannot be removed


@contextmanager
def watch(root: Path) -> Iterator[Watcher]:
    WATCHER.root, WATCHER.opened, WATCHER.listed = str(root), [], []
    try:
        yield WATCHER
    finally:
        WATCHER.root = ""


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path)


def test_subtracting_opens_one_file_and_lists_one_folder_a_trial(
    store: RecordStore, tmp_path: Path, make_record: MakeRecord
) -> None:
    ids = [f"trial{index:03d}" for index in range(300)]
    text = json.dumps(make_record("x", final__miou=0.5).to_json())
    for trial_id in ids[:200]:
        folder = RunDirectory(tmp_path).trial_folder(trial_id)
        folder.mkdir(parents=True)
        (folder / "attempt_001.json").write_text(text, encoding="utf-8")
        for name in ("trial.json", "points.jsonl", "last.pt", "best.pt"):
            (folder / name).write_text("x" * 1000, encoding="utf-8")
    with watch(tmp_path) as seen:
        outcomes = store.outcomes(ids)
    assert len(outcomes) == 200
    assert sorted(seen.opened) == [f"trials/{trial_id}/attempt_001.json" for trial_id in ids[:200]]
    assert sorted(seen.listed) == [f"trials/{trial_id}" for trial_id in ids]


def test_the_next_attempt_at_a_trial_never_started_opens_nothing(store: RecordStore, tmp_path: Path) -> None:
    with watch(tmp_path) as seen:
        assert store.next_attempt("a") == 1
    assert seen.opened == []
    assert seen.listed == ["trials/a"]


def test_the_next_attempt_opens_no_record_and_no_checkpoint(
    store: RecordStore, tmp_path: Path, make_record: MakeRecord
) -> None:
    store.start("a", 1, {}, time=1.0)
    store.end(make_record("a", state=State.LOST))
    (RunDirectory(tmp_path).trial_folder("a") / "last.pt").write_bytes(b"weights")
    with watch(tmp_path) as seen:
        assert store.next_attempt("a") == 2
    assert seen.opened == ["trials/a/points.jsonl"]


def test_attempts_and_chunks_are_in_order_beyond_their_padding() -> None:
    assert files_of(
        ATTEMPT_FILE, ["attempt_1000.json", "attempt_999.json", "trial.json", ".attempt_001.json.1.partial"]
    ) == [
        "attempt_999.json",
        "attempt_1000.json",
    ]
    assert files_of(
        POINT_FILE, ["points_002_00001.jsonl", "points_001_00002.jsonl", "points.jsonl", "points.jsonl.bak"]
    ) == [
        "points.jsonl",
        "points_001_00002.jsonl",
        "points_002_00001.jsonl",
    ]


def test_only_damaged_lines_of_a_curve_are_skipped(store: RecordStore, tmp_path: Path) -> None:
    store.append("a", Point(step=1, metrics={}))
    with (RunDirectory(tmp_path).trial_folder("a") / "points.jsonl").open("ab") as file:
        file.write(b"\0\0\0\n\xff\xfe\n[1]\nnull\n")
    store.append("a", Point(step=2, metrics={}))
    assert [point.step for point in RunDirectory(tmp_path).points("a")] == [1, 2]


@pytest.mark.parametrize("place", ["disk", "bucket"])
def test_every_backend_returns_what_was_written(
    place: str, request: pytest.FixtureRequest, tmp_path: Path, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    run_dir = str(tmp_path) if place == "disk" else f"{request.getfixturevalue('bucket')}/deep/runs"
    writer = RecordStore(Path(run_dir))  # as the command line passes it
    with writer.lock():
        writer.write_sweep(sweep)
        assert writer.next_attempt("full0") == 1
        writer.start("full0", 1, {"seed": 0}, time=1.0)
        for step in range(1, 100):
            writer.append("full0", Point(step=step, metrics={"train/loss": 1 / step}, time=float(step)))
        writer.end(make_record("full0", final__miou=0.5))
        writer.start("base0", 1, {"seed": 0}, time=7.0)
    assert RunDirectory(run_dir).sweep("tiny") == sweep
    assert RunDirectory(run_dir).sweep_names() == ["tiny"]
    assert RunDirectory(run_dir).trial_facts("full0")["config"] == {"seed": 0}
    assert [point.step for point in RunDirectory(run_dir).points("full0")] == list(range(100))
    assert RunDirectory(run_dir).attempts("full0") == (make_record("full0", final__miou=0.5),)
    assert list(RunDirectory(run_dir).outcomes(["full0", "base0", "full1"])) == ["full0"]
    again = RecordStore(run_dir)
    assert again.next_attempt("base0") == 2
    (lost,) = RunDirectory(run_dir).attempts("base0")
    assert (lost.state, lost.started_at) == (State.LOST, 7.0)
    with pytest.raises(StoreError, match="no sweep 'other'; there are: tiny"):
        RunDirectory(run_dir).sweep("other")
