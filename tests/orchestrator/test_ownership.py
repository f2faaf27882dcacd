"""Nothing that is not ours is read, followed, changed or removed, wherever a sweep has files; and nothing waits.

Each place is filled with foreign folders, files, links to private files and folders, and pipes: beside our folder, in
it, and with names as we give them. Then the real operation runs.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.commands.clean import clean
from orchestrator.errors import StoreError, SweepError
from orchestrator.machine.own_folder import (
    MARK,
    ForeignFolderError,
    Mark,
    claim,
    make_temporary,
    named_for_user,
    temporary_folder,
    temporary_root,
    write_mark,
)
from orchestrator.machine.process_identity import ProcessIdentity
from orchestrator.machine.text_table import plain
from orchestrator.opening import prepare_temporary_folder
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.backends import local_folder
from orchestrator.store.backends.base import SCRATCH_FOLDER
from orchestrator.store.checkpoint_sync import fetch_checkpoints
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from trainer.checkpoint import write_partial
from trainer.data.reading.cache import CACHE_FOLDER, DecodedCache
from trainer.pictures.canvas import save
from trainer.workload.census import kept_folder

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
DEAD = Mark(process=replace(ProcessIdentity.here(), started="1"))
"""Of a process whose id another one has now."""
NAMES = (
    *(
        "data-{}",
        "{:032x}",
        "{:032x}.part",
        "{:032x}.gone-7",
        "gone-{:032x}-7",
        "part-{}",
        "tune-{}",
        "ray-{}",
        "ranks-{}",
    ),
    *(".removed-{}", ".mlflow.db-{}", "{:012x}", "contrast_sweep_tune_{}"),
)
"""Names that foreign things have: anybody's, those of our folders now, and in earlier versions."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private file and folder outside, and folders for temporary files, decoded images and copies."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "thesis").write_text("mine")
    for name in ("tmp", "decoded", "scratch"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv(CACHE_FOLDER, str(tmp_path / "decoded"))
    monkeypatch.setenv(SCRATCH_FOLDER, str(tmp_path / "scratch"))
    return tmp_path


def plant(folder: Path, private: Path) -> None:
    """Fill `folder` with foreign things: of every kind one with each name, of anybody's or as ours are."""
    for number, kind in enumerate(("folder", "file", "link", "link to a folder", "pipe")):
        for name in NAMES:
            path = folder / name.format(number)
            if kind == "folder":
                path.mkdir()
                (path / "thesis").write_text("mine")
                (path / "pixels").symlink_to(private / "thesis")
                os.mkfifo(path / "index")
            elif kind == "file":
                path.write_text("mine")
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                path.symlink_to(private / "thesis" if kind == "link" else private)


def facts(path: Path) -> tuple[int, str | bytes]:
    """What a path is and holds."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return mode, str(path.readlink())
    return mode, path.read_bytes() if stat.S_ISREG(mode) else ""


def contents(home: Path) -> dict[Path, tuple[int, str | bytes]]:
    """Every path below `home`; links are not followed."""
    return {path: facts(path) for path in home.rglob("*")}


def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)


def fill(name: str) -> DecodedCache:
    """Decode one data set into a cache that has room for two."""
    cache = replace(DecodedCache.default(), max_bytes=800)
    assert cache.get([name], sizes=lambda: [(8, 8)], pairs=pairs) is not None
    return cache


def decoded_cache(home: Path, plant_in: Callable[[Path], None]) -> None:
    """Fills, evicts, and removes what crashed builds left."""
    cache = fill("first")
    (first,) = cache.entries()
    (first / "thesis").write_text("mine")
    plant_in(home / "decoded")
    plant_in(cache.folder)
    stale = cache.folder / "part-stale"
    (stale / "entry").mkdir(parents=True)
    write_mark(stale, DEAD)
    (stale / "entry" / "pixels").symlink_to(home / "private" / "thesis")
    yield
    for name in "abcd":
        fill(name)
    assert len(cache.entries()) == 2
    assert not stale.exists()


def temporary_folders(home: Path, plant_in: Callable[[Path], None]) -> None:
    """Those of Tune, Ray, ranks and benchmarks: the end of a block, and the start of the next sweep."""
    used = make_temporary("tune")
    plant_in(home / "tmp")
    plant_in(temporary_root())
    stale = temporary_root() / "ray-stale"
    (stale / "session").mkdir(parents=True)
    (stale / "session" / "logs").symlink_to(home / "private")
    (stale / "sockets").symlink_to(home / "private" / "thesis")
    os.mkfifo(stale / "pipe")
    write_mark(stale, DEAD)
    yield
    prepare_temporary_folder()
    with temporary_folder("ranks") as folder:
        (folder / "link").symlink_to(home / "private")
    assert not stale.exists()
    assert not folder.exists()
    assert used.exists()


def mlflow_file(home: Path, plant_in: Callable[[Path], None]) -> None:
    """A database is created in a folder of its own beside its name, in a folder of the user."""
    from orchestrator.tracking import mlflow_database

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            self.path = Path(tracking_uri.removeprefix("sqlite:///"))

        def search_experiments(self) -> None:
            self.path.write_text("schema")

    (home / "tracking" / ".mlflow.db-stale").mkdir(parents=True)
    write_mark(home / "tracking" / ".mlflow.db-stale", DEAD)
    plant_in(home / "tracking")
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_database, "MlflowClient", Client)
        mlflow_database.create_database(f"sqlite:///{home / 'tracking' / 'mlflow.db'}")
    assert (home / "tracking" / "mlflow.db").read_text() == "schema"
    assert not (home / "tracking" / ".mlflow.db-stale").exists()


def copies_of_an_object_store(home: Path, plant_in: Callable[[Path], None]) -> None:
    """Checkpoints are copied to this machine."""
    directory = RunDirectory(f"memory://{home.name}/runs")
    for name in ("last.pt", "best.pt"):
        directory.files.write(f"trials/a/{name}", b"of the store")
    folder = directory.trial_folder("a")
    folder.mkdir(parents=True)
    plant_in(home / "scratch")
    plant_in(folder.parents[2])
    plant_in(folder)
    (folder / "last.pt").symlink_to(home / "private" / "thesis")  # a name of ours: replaced, never followed
    yield
    fetch_checkpoints(directory, "a", folder)
    assert (folder / "last.pt").read_bytes() == b"of the store"


def run_directory(home: Path, plant_in: Callable[[Path], None]) -> None:
    """`clean` deletes trials that no sweep refers to, and what a killed `clean` left."""
    store = RecordStore(home / "runs")
    store.write_sweep(SWEEP)
    for trial_id in ("old", "mixed"):
        store.end(AttemptRecord(trial_id=trial_id, attempt=1, state="done", started_at=1.0, ended_at=2.0))
    (home / "runs" / "trials" / "mixed" / "thesis").write_text("mine")
    os.mkfifo(home / "runs" / "trials" / "mixed" / "pipe")
    (home / "runs" / "trash").mkdir()
    (home / "runs" / "trash" / "thesis").write_text("mine")
    (home / "runs" / ".removed-stale").mkdir()
    write_mark(home / "runs" / ".removed-stale", DEAD)
    for folder in ("", "trials", "trash"):
        plant_in(home / "runs" / folder)
    yield
    lines = plain(clean(store, "all", delete=True, every=True))
    assert "trials/mixed: left alone, because this program did not write pipe, thesis in it" in lines
    assert "trials/data-0: left alone, because this program did not write index, pixels, thesis in it" in lines
    assert lines[0].startswith("deleted 1 of 1")
    assert not (home / "runs" / "trials" / "old").exists()
    assert not (home / "runs" / ".removed-stale").exists()


def census(home: Path, plant_in: Callable[[Path], None]) -> None:
    """The counts of a data set are kept beside the decoded images."""
    plant_in(home / "decoded")
    yield
    assert kept_folder() == named_for_user(home / "decoded", "cache")


SWEEP = SweepRecord(
    name="tiny",
    question="",
    method="ablation",
    recipe="synthetic",
    metric="final/miou",
    goal="maximize",
    baseline=None,
    rows=(),
    seeds=(0,),
    cells=(),
    spec="name: tiny\n",
)

PLACES = (decoded_cache, temporary_folders, mlflow_file, copies_of_an_object_store, run_directory, census)


@pytest.mark.parametrize("place", PLACES)
def test_foreign_things_survive_beside_and_among_ours(place, home: Path) -> None:
    planted: list[Path] = []

    def plant_in(folder: Path) -> None:
        before = contents(home)
        plant(folder, home / "private")
        planted.extend(contents(home).keys() - before.keys())

    operation = contextmanager(place)(home, plant_in)
    with operation:
        planted += [path for path in home.rglob("thesis") if path not in planted]
        before = {path: facts(path) for path in planted}
    assert len(before) > 50
    assert {path: facts(path) for path in before if os.path.lexists(path)} == before


@pytest.mark.parametrize("kind", ["link", "pipe", "file"])
def test_a_checkpoint_that_is_being_written_follows_no_link_and_waits_for_no_pipe(home: Path, kind: str) -> None:
    import torch

    part = home / "last.pt.partial"
    if kind == "link":
        part.symlink_to(home / "private" / "thesis")
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        part.write_text("left by a crash" * 10**5)
    write_partial({"step": torch.ones(1)}, home / "last.pt").replace(home / "last.pt")
    assert torch.load(home / "last.pt", weights_only=True)["step"] == 1
    assert (home / "private" / "thesis").read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_files_that_stay_open_in_the_run_directory_follow_no_link(home: Path, kind: str) -> None:
    """The lock of the driver, and the points of a trial."""
    store = RecordStore(home / "runs")
    for name in ("driver.lock", "trials/a/points.jsonl"):
        path = home / "runs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            path.symlink_to(home / "private" / "thesis")
        else:
            os.mkfifo(path)
    before = facts(home / "private" / "thesis")
    with pytest.raises(StoreError, match=r"points\.jsonl: cannot be written"):
        store.append("a", Point(step=1, metrics={}, time=1.0, attempt=1))
    if kind == "link":
        with pytest.raises(StoreError, match=r"driver\.lock: cannot be written"), store.lock():
            pass
    else:
        with (
            store.lock(),
            pytest.raises(StoreError, match="a pipe instead of a file"),
            RecordStore(home / "runs").lock(),
        ):
            pass
    assert facts(home / "private" / "thesis") == before


def test_a_picture_follows_no_link(home: Path) -> None:
    (home / "sheet.png").symlink_to(home / "private" / "thesis")
    assert save(Image.new("RGB", (8, 8)), home / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert (home / "private" / "thesis").read_text() == "mine"


def decode(home: Path) -> None:
    with pytest.warns(UserWarning, match=r"is not used; .* or set CONTRAST_SWEEP_CACHE to another folder; the data"):
        assert DecodedCache.default().get(["a"], sizes=lambda: [(8, 8)], pairs=pairs) is None
    assert DecodedCache.default().entries() == []
    assert kept_folder() is None


def start_a_sweep(home: Path) -> None:
    with pytest.raises(SweepError, match=r"is not used; .* or set TMPDIR to another folder"):
        prepare_temporary_folder()
    with pytest.raises(ForeignFolderError), temporary_folder("tune"):
        pass


def copy_checkpoints(home: Path) -> None:
    directory = RunDirectory(f"memory://{home.name}/runs")
    directory.files.write("trials/a/last.pt", b"of the store")
    for operation in (
        lambda: local_folder("memory://x"),
        lambda: fetch_checkpoints(directory, "a", named_for_user(home / "scratch", "scratch") / "0" / "trials" / "a"),
    ):
        with pytest.raises(StoreError, match=r"is not used; .* or set CONTRAST_SWEEP_SCRATCH to another folder"):
            operation()


SHARED = {
    decode: lambda home: named_for_user(home / "decoded", "cache"),
    start_a_sweep: lambda _: temporary_root(),
    copy_checkpoints: lambda home: named_for_user(home / "scratch", "scratch"),
}
"""Operations, and the folder that each shares with other processes of its user."""


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "file", "pipe", "open to others"])
@pytest.mark.parametrize("operation", SHARED)
def test_a_prepared_folder_is_refused_in_one_line(operation, kind: str, home: Path) -> None:
    folder, private = SHARED[operation](home), home / "private"
    if kind == "link to a folder":
        folder.symlink_to(claim(private / "own", "TMPDIR"))
    elif kind == "dangling link":
        folder.symlink_to(private / "nowhere")
    elif kind == "file":
        folder.write_text("mine")
    elif kind == "pipe":
        os.mkfifo(folder)
    else:
        claim(folder, "TMPDIR").chmod(0o777)
    before = contents(home)
    operation(home)
    assert contents(home) == before


@needs_root
@pytest.mark.parametrize("victim", [0, NOBODY])
@pytest.mark.parametrize("operation", SHARED)
def test_another_users_folder_is_refused_and_its_links_are_not_followed(
    operation, victim: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: links in a folder that somebody had prepared in /tmp, and a private file overwritten."""
    shared = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        for name in ("tmp", "decoded", "scratch"):
            (shared / name).mkdir()
            (shared / name).chmod(0o1777)
        shared.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", str(shared / "tmp"))
        monkeypatch.setenv(CACHE_FOLDER, str(shared / "decoded"))
        monkeypatch.setenv(SCRATCH_FOLDER, str(shared / "scratch"))
        with acting_as(victim):
            folder = SHARED[operation](shared)
        attacker = NOBODY - victim
        prepare(folder, home / "private" / "thesis", attacker)
        before = contents(shared)
        with acting_as(victim):
            operation(shared)
        assert contents(shared) == before
        assert (home / "private" / "thesis").read_text() == "mine"
    finally:
        shutil.rmtree(shared)


def prepare(folder: Path, private: Path, attacker: int) -> None:
    """What an attacker would put there: a marked folder with an entry and a trial whose files are links."""
    for place in (folder, folder / ("0" * 32), folder / "0" / "trials" / "a"):
        place.mkdir(parents=True)
        write_mark(place, Mark())
        for name in ("index", "pixels", "last.pt", ".delivered.json"):
            (place / name).symlink_to(private)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, attacker, attacker, follow_symlinks=False)


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Let this process be `user` for a while."""
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


def test_our_names_are_known_to_be_ours_by_the_mark_alone(home: Path) -> None:
    """Of two folders with the same content, the one with a mark goes and the other stays."""
    for name in ("tune-with", "tune-without"):
        folder = claim(temporary_root(), "TMPDIR") / name
        folder.mkdir()
        (folder / "state").write_text("x")
    write_mark(temporary_root() / "tune-with", DEAD)
    prepare_temporary_folder()
    assert sorted(path.name for path in temporary_root().iterdir()) == [MARK, "tune-without"]


def test_no_other_module_makes_or_removes_folders_by_itself() -> None:
    """One helper: whoever needs a folder outside the run directory gets it from `orchestrator.machine.own_folder`."""
    project = Path(__file__).resolve().parents[2]
    using = {
        path.relative_to(project).as_posix()
        for package in ("orchestrator", "trainer", "reports", "benchmarks")
        for path in (project / package).rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in ("mkdtemp", "TemporaryDirectory", "rmtree("))
    }
    assert using == {
        "orchestrator/machine/own_folder.py",
        "trainer/golden/measure.py",  # a folder in its own temporary one
        "trainer/testing/dataset.py",  # a data set that it has written
        "orchestrator/store/backends/local.py",  # a trial, on a full disk
        "orchestrator/store/work_folder.py",  # what a trial has left, if our mark says of which other code it is
    }
