"""What is read of a run directory is what was written, or is named as damaged."""

import json
import os
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.sealed_json import DIGEST, seal, unseal
from orchestrator.store import bounded_file
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.cleanup import unreferenced_trials
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord

MakeRecord = Callable[..., AttemptRecord]


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "runs")


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit changed."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def rewrite(path: Path, **values: object) -> None:
    """Change values of a JSON file as somebody with an editor does; what digest it has stays."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def unsealed(path: Path, **values: object) -> None:
    """Write a file as version 0.1 did, without a digest."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop(DIGEST, None)
    path.write_text(json.dumps(content | values, indent=1), encoding="utf-8")


def reason(store: RunDirectory, trial_id: str) -> str:
    """Why the record of a trial is damaged; empty for an intact one."""
    record = store.outcomes([trial_id])[trial_id]
    return record.error.message if record.state is State.DAMAGED and record.error is not None else ""


def test_every_flipped_bit_of_a_record_is_noticed(store: RecordStore, make_record: MakeRecord) -> None:
    written = make_record("a", final__miou=0.0601, final__nan=float("nan"), cost__n=3)
    store.end(written)
    path = store.trial_folder("a") / "attempt_001.json"
    content = path.read_bytes()
    harmless = 0
    bits = random.Random(0).sample(range(8 * len(content)), 2000)
    for bit in bits:
        path.write_bytes(flipped(content, bit))
        (found,) = RunDirectory(store.location).outcomes(["a"]).values()
        if found.state is not State.DAMAGED:
            harmless += 1
            assert repr(found) == repr(written), f"bit {bit}"
    assert harmless < 0.01 * len(bits), "such as an e that becomes an E"


def test_every_flipped_bit_of_a_plan_is_noticed(store: RecordStore, sweep: SweepRecord) -> None:
    store.write_sweep(sweep)
    path = store.local_folder / "sweeps" / "tiny" / "sweep.json"
    content = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 2000):
        path.write_bytes(flipped(content, bit))
        with suppress(DamagedError):
            assert RunDirectory(store.location).sweep("tiny") == sweep, f"bit {bit}"


def test_every_flipped_bit_of_a_curve_costs_at_most_its_line_and_the_next(store: RecordStore) -> None:
    written = [Point(step=step, metrics={"train/loss": 1 / step}, time=float(step)) for step in range(1, 6)]
    for point in written:
        store.append("a", point)
    path = store.trial_folder("a") / "points.jsonl"
    content = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 800):
        path.write_bytes(flipped(content, bit))
        found = list(store.points("a"))
        assert len(found) >= 3
        assert [point for point in found if point not in written] == []


def test_a_file_that_was_formatted_again_is_still_verified(store: RecordStore, make_record: MakeRecord) -> None:
    store.end(make_record("a", final__miou=0.5))
    rewrite(store.trial_folder("a") / "attempt_001.json")
    assert store.deciding_attempts(["a"])["a"].verified


def test_a_record_that_was_copied_from_another_trial_is_none_of_this_one(
    store: RecordStore, make_record: MakeRecord
) -> None:
    store.end(make_record("good", final__miou=0.9))
    store.end(make_record("bad", final__miou=0.1))
    shutil.copy(store.trial_folder("good") / "attempt_001.json", store.trial_folder("bad") / "attempt_001.json")
    assert "it is the record of trial good, attempt 1" in reason(store, "bad")
    unsealed(store.trial_folder("bad") / "attempt_001.json")
    assert "it is the record of trial good, attempt 1" in reason(store, "bad")
    shutil.copy(store.trial_folder("good") / "attempt_001.json", store.trial_folder("good") / "attempt_002.json")
    assert [item.damaged for item in store.stored_attempts(store.attempt_keys(["good"]))["good"]] == [False, True]
    assert reason(store, "good") == "", "a first attempt that is done counts"


def test_a_plan_and_a_trial_that_were_copied_over_others_are_named(store: RecordStore, sweep: SweepRecord) -> None:
    store.write_sweep(sweep)
    store.write_sweep(replace(sweep, name="other"))
    shutil.copy(store.local_folder / "sweeps/tiny/sweep.json", store.local_folder / "sweeps/other/sweep.json")
    with pytest.raises(DamagedError, match=r"sweeps/other/sweep\.json: damaged plan \(it is the plan of sweep 'tiny'"):
        store.sweep("other")
    store.start("a", 1, {"seed": 0}, time=1.0)
    store.start("b", 1, {"seed": 1}, time=1.0)
    shutil.copy(store.trial_folder("a") / "trial.json", store.trial_folder("b") / "trial.json")
    with pytest.raises(DamagedError, match=r"b/trial\.json: damaged record \(it belongs to trial a"):
        store.trial_facts("b")
    store.start("b", 2, {"seed": 1}, time=2.0)
    assert store.trial_facts("b")["config"] == {"seed": 1}, "the driver knows what it is and writes it again"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"metrics": float("nan")}, "metrics: a number nan instead of an object"),
        ({"metrics": {"final/miou": "0.43"}}, "metrics: final/miou: text '0.43' instead of a number"),
        ({"metrics": {"final/miou": None}}, "metrics: final/miou: null instead of a number"),
        ({"metrics": {"final/miou": True}}, "metrics: final/miou: true or false True instead of a number"),
        ({"metrics": {"final/miou": 10**400}}, "metrics: final/miou: an integer that is too large for a number"),
        ({"metrics": None}, "metrics: null instead of an object"),
        ({"state": None}, "state: None is not a valid State"),
        ({"state": "finished"}, "state: 'finished' is not a valid State"),
        ({"attempt": 1.0}, "attempt: a number 1.0 instead of an integer"),
        ({"started_at": float("nan")}, "started_at: nan is not a time"),
        ({"ended_at": 1e300}, r"ended_at: 1e\+300 is not a time"),
        ({"error": "broken"}, "error: text 'broken' instead of an object"),
        ({"error": {"kind": "ValueError"}}, "error: message: missing"),
        ({"environment": {"commit": 7}}, "environment: commit: an integer 7 instead of text"),
        ({"mood": "good"}, "mood: unknown key"),
    ],
)
def test_a_value_of_a_wrong_type_is_named(
    store: RecordStore, make_record: MakeRecord, values: dict[str, object], complaint: str
) -> None:
    store.end(make_record("a", final__miou=0.5))
    unsealed(store.trial_folder("a") / "attempt_001.json", **values)
    assert re.search(rf"trials/a/attempt_001\.json: damaged record \({complaint}\)", reason(store, "a"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty: the machine crashed while it was written"),
        (b"{", "not JSON: Expecting"),
        (b"null", "NoneType instead of an object"),
        (b"[" * 100_000, "not JSON: nested too deeply"),
        (b"\xff\xfe{}", "not JSON: "),
        (b'{"trial_id": "a"}', "attempt: missing"),
    ],
)
def test_content_that_is_no_record_is_named(
    store: RecordStore, make_record: MakeRecord, content: bytes, complaint: str
) -> None:
    store.end(make_record("a"))
    (store.trial_folder("a") / "attempt_001.json").write_bytes(content)
    assert f"trials/a/attempt_001.json: damaged record ({complaint}" in reason(store, "a")
    assert "\n" not in reason(store, "a")


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder", "large"])
@pytest.mark.timeout(30)
def test_what_is_no_file_is_named_and_nothing_hangs(
    store: RecordStore, make_record: MakeRecord, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.end(make_record("a"))
    path = store.trial_folder("a") / "attempt_001.json"
    path.unlink()
    monkeypatch.chdir(path.parent)  # the path of a socket must be short
    if kind == "pipe":
        os.mkfifo(path.name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        subprocess.run(["truncate", "--size=2G", path.name], check=True)
    expected = {
        "pipe": "a pipe instead of a file",
        "socket": "a socket or a device instead of a file",
        "device": "a device instead of a file",
        "folder": "a folder instead of a file",
        "large": "more than 64 MB, so it is not a file of a run directory",
    }[kind]
    assert reason(store, "a") == f"trials/a/attempt_001.json: damaged record ({expected})"


def test_an_object_that_is_too_large_is_not_fetched(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RecordStore(memory)
    store.files.write("trials/a/attempt_001.json", b"x" * 2000)
    store.files.write("trials/b/attempt_001.json", b"")
    monkeypatch.setattr(bounded_file, "MOST_BYTES", {".json": 1000})
    assert "more than 0 MB" in reason(store, "a")
    assert "empty" in reason(store, "b")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"baseline": "nobody"}, "baseline: there is no row 'nobody'"),
        ({"seeds": [0, "1"]}, "seeds: \\[1\\]: text '1' instead of an integer"),
        ({"rows": []}, "baseline: there is no row 'without'"),
        ({"cells": [{"row": "lost", "seed": 0, "trial_id": "a"}]}, "cells: there is no row 'lost'"),
        ({"cells": [{"row": "without", "seed": 0, "trial_id": "../a"}]}, "trial_id: '../a' is not a trial id"),
        ({"goal": None}, "goal: null instead of text"),
        ({"table": {"top": "3"}}, "table: top: text '3' instead of an integer"),
        ({"looks": [1]}, "looks: 1 values instead of 2"),
    ],
)
def test_a_plan_with_a_wrong_value_is_one_line(
    store: RecordStore, sweep: SweepRecord, values: dict[str, object], complaint: str
) -> None:
    store.write_sweep(sweep)
    unsealed(store.local_folder / "sweeps" / "tiny" / "sweep.json", **values)
    with pytest.raises(
        DamagedError, match=rf"tiny/sweep\.json: damaged plan \({complaint}\); run the sweep's"
    ) as error:
        store.results("tiny")
    assert "\n" not in str(error.value)


def test_files_of_before_are_read_and_known_to_be_unverified(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    store.write_sweep(sweep)
    store.end(make_record("base0", final__miou=0.5))
    store.end(make_record("full0", final__miou=0.6))
    before = store.results("tiny")
    assert before.verification is not None
    assert (before.verification.plan, before.verification.without_digest) == (True, frozenset())
    unsealed(store.trial_folder("base0") / "attempt_001.json")
    unsealed(store.local_folder / "sweeps" / "tiny" / "sweep.json")
    after = store.results("tiny")
    assert after.verification is not None
    assert (after.verification.plan, after.verification.without_digest) == (False, {"base0"})
    assert (after.sweep, after.outcomes) == (before.sweep, before.outcomes)


def test_nothing_is_deleted_while_a_plan_is_damaged(
    store: RecordStore, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    """A flipped bit in a trial's id must not make the trial one that no sweep refers to."""
    store.write_sweep(sweep)
    store.end(make_record("base0"))
    path = store.local_folder / "sweeps" / "tiny" / "sweep.json"
    path.write_text(path.read_text(encoding="utf-8").replace("base0", "bare0"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"tiny/sweep\.json: damaged file \(its content does not match its digest\)"):
        unreferenced_trials(store)


def test_a_digest_is_over_the_values_and_in_the_file() -> None:
    values = {"b": [1, 2.5, None, "é"], "a": {"x": float("inf")}}
    content = seal(values)
    assert unseal(content) == (values, True)
    assert unseal(json.dumps(json.loads(content)).encode()) == (values, True)
    assert unseal(b'{"a": 1}') == ({"a": 1}, False)
    with pytest.raises(ValueError, match="the name of its digest is damaged"):
        unseal(content.replace(b'"digest"', b'"eigest"'))
