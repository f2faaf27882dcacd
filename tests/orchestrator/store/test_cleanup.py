"""Cleaning up: only what was listed is deleted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.cleanup import Leftover, unneeded_files, unreferenced_trials
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord

MakeRecord = Callable[..., AttemptRecord]


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, sweep: SweepRecord, make_record: MakeRecord) -> RecordStore:
    """A sweep of four trials, of which one is done, and two trials of sweeps that no longer exist."""
    place = str(tmp_path) if request.param == "disk" else request.getfixturevalue("memory")
    store = RecordStore(place)
    store.write_sweep(sweep)
    for trial_id in ("base0", "old1", "old2"):
        store.end(make_record(trial_id))
    for name in ("last.pt", "best.pt", "previous.pt", ".attempt_001.json.1.partial"):
        store.files.write(f"trials/base0/{name}", b"12345")
    store.files.write("trials/old1/pictures/sheet.png", b"1234")
    store.files.write("trials/old1/pictures/compare_0003_image.jpg", b"567")
    return store


def test_trials_that_no_sweep_refers_to_are_listed_with_their_sizes_and_deleted(store: RecordStore) -> None:
    found = unreferenced_trials(store)
    record = len(store.files.read("trials/old1/attempt_001.json") or b"")
    assert found == [Leftover(trial_id="old1", size=record + 7), Leftover(trial_id="old2", size=record)]
    assert store.clean(["old1", "base0"]) == found[:1], "what a sweep refers to stays, even if it is asked for"
    assert sorted(store.files.names("trials")) == ["base0", "old2"]
    assert store.outcomes(["old1", "base0"]).keys() == {"base0"}
    assert unreferenced_trials(store) == found[1:]


def test_a_trial_mentioned_anywhere_in_a_sweep_stays(store: RecordStore) -> None:
    store.files.write("sweeps/tiny/study.jsonl", b'{"trial": 1, "of": ["old1"]}\n')
    assert [item.trial_id for item in unreferenced_trials(store)] == ["old2"]


@pytest.mark.parametrize("question", ["", 'Does "pixel" help?', "a\\b", "one\ntwo", "\u00e9"])
def test_no_other_text_of_a_sweep_hides_its_trials(store: RecordStore, sweep: SweepRecord, question: str) -> None:
    """An empty text, or one with a quote or a backslash, must not shift what is read as quoted."""
    cells = tuple(replace(cell, trial_id="old1") for cell in sweep.cells)
    store.write_sweep(replace(sweep, name="newer", question=question, cells=cells))
    assert [item.trial_id for item in unreferenced_trials(store)] == ["old2"]


def test_a_sweep_planned_after_the_listing_keeps_its_trials(store: RecordStore, sweep: SweepRecord) -> None:
    assert [item.trial_id for item in unreferenced_trials(store)] == ["old1", "old2"]
    cells = tuple(replace(cell, trial_id="old1") for cell in sweep.cells)
    store.write_sweep(replace(sweep, name="newer", cells=cells))
    assert [item.trial_id for item in store.clean(["old1", "old2"])] == ["old2"]


def test_nothing_is_deleted_while_a_plan_cannot_be_read(store: RecordStore) -> None:
    store.files.write("sweeps/half/sweep.json", b"")
    with pytest.raises(StoreError, match=r"sweeps/half/sweep\.json: missing or empty, so it is unknown which trials"):
        unreferenced_trials(store)
    store.files.delete("sweeps/half/sweep.json")
    store.files.write("sweeps/half/records.parquet", b"x")
    with pytest.raises(StoreError, match="missing or empty"):
        store.clean(["old1"])
    assert "old1" in store.files.names("trials")


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_nothing_is_deleted_while_a_sweep_runs(store: RecordStore) -> None:
    with RecordStore(store.location).lock(), pytest.raises(StoreError, match="another sweep is writing here"):
        store.clean(["old1"])
    assert "old1" in store.files.names("trials")


def test_the_driver_itself_may_clean_under_its_lock(store: RecordStore) -> None:
    with store.lock():
        assert [item.trial_id for item in store.clean(["old2"])] == ["old2"]


@pytest.mark.parametrize(
    ("keep", "kept"), [("all", {"last.pt", "best.pt"}), ("last", {"last.pt"}), ("best", {"best.pt"})]
)
def test_a_finished_trial_keeps_what_is_asked(store: RecordStore, keep: str, kept: set[str]) -> None:
    shown = unneeded_files(store, ["base0", "full0"], keep)
    assert store.prune(["base0", "full0"], keep) == shown
    assert all(item.size == 5 for item in shown)
    assert set(store.files.names("trials/base0")) == {"attempt_001.json"} | kept
    assert unneeded_files(store, ["base0"], keep) == []
    assert store.outcomes(["base0"])["base0"].state is State.DONE


def test_the_only_checkpoint_stays_and_an_unfinished_trial_keeps_all(
    store: RecordStore, make_record: MakeRecord
) -> None:
    store.files.write("trials/old1/last.pt", b"1")
    store.end(make_record("full0", state=State.LOST))
    for name in ("last.pt", "previous.pt", "best.pt"):
        store.files.write(f"trials/full0/{name}", b"1")
    assert unneeded_files(store, ["old1", "full0"], "best") == []


def test_an_unknown_value_is_refused(store: RecordStore) -> None:
    with pytest.raises(StoreError, match="keep_checkpoints: 'first': choose best, last, all"):
        unneeded_files(store, [], "first")
