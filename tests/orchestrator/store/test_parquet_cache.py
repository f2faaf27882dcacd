"""The Parquet cache: it has what the records have, digit for digit, or it is ignored."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestrator.machine.sealed_json import seal, unseal
from orchestrator.store import parquet_cache
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord

IDS = ["base0", "full0", "base1", "full1"]
MakeRecord = Callable[..., AttemptRecord]


@pytest.fixture(autouse=True)
def none_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is read for four trials too."""
    monkeypatch.setattr(parquet_cache, "FEW", {False: 0, True: 0})


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore:
    place = tmp_path / "runs" if request.param == "disk" else request.getfixturevalue("memory")
    return RecordStore(place)


@pytest.fixture
def filled(store: RecordStore, sweep: SweepRecord, make_record: MakeRecord) -> RecordStore:
    """base0 done, full0 done at the second attempt, base1 lost, full1 never started."""
    store.write_sweep(sweep)
    for trial_id in ("base0", "full0", "base1"):
        store.start(trial_id, 1, {}, time=1.0)
    store.end(make_record("base0", final__miou=0.1 + 0.2, final__nan=math.nan, final__inf=-math.inf, cost__n=3))
    store.end(make_record("full0", state=State.LOST))
    store.end(make_record("full0", attempt=2, final__miou=1e-300))
    store.end(make_record("base1", state=State.LOST))
    return store


@pytest.fixture
def compacted(filled: RecordStore) -> RecordStore:
    assert filled.compact("tiny") == 2
    return filled


def opened(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that reading the outcomes opens."""
    kind, keys = type(store.files), []
    read = kind.read
    with monkeypatch.context() as patch:
        patch.setattr(kind, "read", lambda files, key: keys.append(key) or read(files, key))
        store.outcomes(IDS)
    return sorted(set(keys))


def same(left: dict[str, AttemptRecord], right: dict[str, AttemptRecord]) -> bool:
    """Equal to the last digit, NaN too."""
    return repr(left) == repr(right)


def test_it_has_what_the_records_have(filled: RecordStore) -> None:
    before = filled.outcomes(IDS)
    filled.compact("tiny")
    after = filled.outcomes(IDS)
    assert same(before, after)
    assert list(after) == ["base0", "full0", "base1"]
    assert math.isnan(after["base0"].metrics["final/nan"])
    assert after["full0"].attempt == 2


def test_only_unfinished_trials_are_read_from_their_own_files(
    compacted: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert opened(compacted, monkeypatch) == ["sweeps/tiny/records.parquet", "trials/base1/attempt_001.json"]


def test_people_can_read_it(compacted: RecordStore, tmp_path: Path) -> None:
    content = compacted.files.read("sweeps/tiny/records.parquet")
    assert content is not None
    (tmp_path / "copy.parquet").write_bytes(content)
    rows = pq.read_table(tmp_path / "copy.parquet").to_pylist()
    assert [(row["trial_id"], row["attempt"], row["state"], row["counts"]) for row in rows] == [
        ("base0", 1, "done", True),
        ("full0", 1, "lost", False),
        ("full0", 2, "done", True),
    ]
    assert dict(rows[0]["metrics"])["final/miou"] == 0.1 + 0.2
    assert dict(rows[0]["environment"])["commit"] == "abc"


def test_a_trial_that_was_deleted_is_not_done(compacted: RecordStore) -> None:
    compacted.files.delete_folder("trials/base0")
    assert list(compacted.outcomes(IDS)) == ["full0", "base1"]


def test_a_trial_that_ended_since_is_read_from_its_files(compacted: RecordStore, make_record: MakeRecord) -> None:
    compacted.end(make_record("full1", final__miou=0.7))
    compacted.end(make_record("base1", attempt=2, final__miou=0.8))
    states = {key: (record.state, record.attempt) for key, record in compacted.outcomes(IDS).items()}
    assert states["full1"] == (State.DONE, 1)
    assert states["base1"] == (State.DONE, 2)


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_a_record_that_was_deleted_or_changed_since_counts_as_it_is_now(compacted: RecordStore) -> None:
    folder = Path(compacted.location) / "trials"
    (folder / "base0" / "attempt_001.json").unlink()
    path = folder / "full0" / "attempt_002.json"
    path.write_bytes(seal(unseal(path.read_bytes()).values | {"metrics": {"final/miou": 0.5}}))
    outcomes = compacted.outcomes(IDS)
    assert "base0" not in outcomes
    assert outcomes["full0"].metrics == {"final/miou": 0.5}


def foreign_parquet() -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"trial_id": ["base0"], "record": ["{}"]}), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "foreign", "gone"])
def test_a_damaged_foreign_or_deleted_file_costs_nothing(compacted: RecordStore, damage: str) -> None:
    key = "sweeps/tiny/records.parquet"
    content = compacted.files.read(key)
    assert content is not None
    expected = compacted.outcomes(IDS)
    middle = len(content) // 8
    replacement = {
        "cut": content[: len(content) // 2],
        "flipped": content[:middle]
        + bytes(255 - byte for byte in content[middle : 2 * middle])
        + content[2 * middle :],
        "empty": b"",
        "text": b"not parquet",
        "foreign": foreign_parquet(),
        "gone": None,
    }[damage]
    if replacement is None:
        compacted.files.delete(key)
    else:
        compacted.files.write(key, replacement)
    assert same(compacted.outcomes(IDS), expected)


def test_shared_trials_are_read_from_the_cache_of_another_sweep(
    compacted: RecordStore, sweep: SweepRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    compacted.write_sweep(replace(sweep, name="a later one"))
    assert compacted.compact("a later one") == 2
    assert same(RunDirectory(compacted.location).outcomes(IDS, plan=sweep), compacted.outcomes(IDS))
    assert "trials/base0/attempt_001.json" not in opened(compacted, monkeypatch)


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_a_store_copied_elsewhere_is_read_right(compacted: RecordStore, tmp_path: Path) -> None:
    shutil.copytree(compacted.location, tmp_path / "copy")
    for path in (tmp_path / "copy").glob("trials/*/*.json"):
        os.utime(path, (1, 1))
    assert same(RunDirectory(tmp_path / "copy").outcomes(IDS), compacted.outcomes(IDS))


def test_few_trials_import_no_pyarrow_and_no_fsspec(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom orchestrator.store.run_directory import RunDirectory\n"
        "import orchestrator.store.record_store\n"
        f"RunDirectory({str(tmp_path)!r}).outcomes([str(index) for index in range(900)])\n"
        "print({'pyarrow', 'fsspec', 'pandas', 'torch'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_it_is_written_whole(compacted: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same method as every record, which writes all or nothing."""
    written: list[str] = []
    monkeypatch.setattr(type(compacted.files), "write", lambda files, key, content: written.append(key))
    compacted.files.delete("sweeps/tiny/records.parquet")
    compacted.compact("tiny")
    assert written == ["sweeps/tiny/records.parquet"]


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_only_what_the_cache_lacks_is_read_to_write_it(
    compacted: RecordStore, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, read = "sweeps/tiny/records.parquet", list[str]()
    real = type(compacted.files).read
    monkeypatch.setattr(
        type(compacted.files), "read", lambda files, key, start=0: read.append(key) or real(files, key, start)
    )
    before = compacted.files.read(key)
    assert compacted.compact("tiny") == 2
    assert compacted.files.read(key) == before
    assert not [name for name in read if name.startswith(("trials/base0", "trials/full0"))]  # done, and in the cache

    compacted.end(make_record("full1", final__miou=0.7))
    read.clear()
    assert compacted.compact("tiny") == 3
    assert not [name for name in read if name.startswith(("trials/base0", "trials/full0"))]
    after = compacted.outcomes(IDS)
    compacted.files.delete(key)
    assert same(after, compacted.outcomes(IDS))


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_attempts_that_came_or_went_are_noticed(compacted: RecordStore, make_record: MakeRecord) -> None:
    folder = Path(compacted.location) / "trials"
    (folder / "full0" / "attempt_001.json").unlink()
    compacted.end(make_record("base0", attempt=2, final__miou=0.9))  # of two results the plan decides: not cached
    assert compacted.compact("tiny") == 1
    cached = parquet_cache.read_cache(compacted.files, "tiny")
    assert cached is not None
    assert cached.plain["key"] == ["trials/full0/attempt_002.json"]
    shutil.rmtree(folder / "full0")
    assert compacted.compact("tiny") == 0


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_no_json_of_a_cached_record_is_read(compacted: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """But of one with an integer among its numbers, as that of base0."""
    parsed: list[str] = []
    real = parquet_cache.json.loads
    monkeypatch.setattr(parquet_cache.json, "loads", lambda text: parsed.append(text) or real(text))
    found = parquet_cache.read_compacted(compacted.files, ["base0", "full0"])
    assert set(found) == {"base0", "full0"}
    (whole,) = (text for text in parsed if "trial_id" in text)  # the other is the error of full0's first attempt
    assert '"cost/n": 3' in whole
