"""Why a trial runs or is reused, field by field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from orchestrator.commands.why import Identity, describe_reason, finished_identities, nearest
from orchestrator.planning.identity import canonical
from orchestrator.store.record_store import RecordStore
from orchestrator.store.records import AttemptRecord, State
from trainer.config import RESULT_VERSION, OptimConfig, TrainConfig

MakeRecord = Callable[..., AttemptRecord]


def identity(trial_id: str, **content: object) -> Identity:
    return Identity(trial_id=trial_id, content=content)


def test_differences_name_the_field_and_both_values() -> None:
    now, then = identity("now", lr=0.1, steps=10, dtype="half"), identity("then", lr=0.2, steps=10)
    assert now.differences(then) == {"lr": (0.2, 0.1), "dtype": ("not set", "half")}


def test_the_nearest_is_the_one_with_the_fewest_differences_and_never_itself() -> None:
    trial = identity("t", a=1, b=2, c=3)
    far, near = identity("far", a=9, b=9, c=3), identity("near", a=1, b=2, c=9)
    assert nearest(trial, [trial, far, near, identity("also near", a=9, b=2, c=3)]) == near
    assert nearest(trial, [trial]) is None


def test_the_store_knows_what_its_finished_trials_are_made_of(tmp_path: Path, make_record: MakeRecord) -> None:
    store = RecordStore(tmp_path / "runs")
    config = canonical(TrainConfig(optim=OptimConfig(lr=0.5)))
    for trial_id, state in (("done", State.DONE), ("failed", State.USER_ERROR)):
        store.start(trial_id, 1, config, time=1.0, facts={"data": "d1", "result_version": RESULT_VERSION})
        store.end(make_record(trial_id, state=state))
    (known,), damaged = finished_identities(store)
    assert damaged == []
    assert known.trial_id == "done"
    assert known.content == {**config, "data": "d1", "result_version": RESULT_VERSION}


def test_reasons_in_words(make_record: MakeRecord) -> None:
    done, failed, new = identity("done"), identity("failed"), identity("new", **{"optim.lr": 0.1, "data": "d2"})
    old = identity("old", **{"optim.lr": 0.2, "data": "d1"})
    dirty = replace(make_record("done"), environment={"commit": "0123456789", "dirty": "yes"}, ended_at=0.0)
    reused = describe_reason("row", done, dirty, [old, done])
    assert reused.startswith("reused   row [done]: done on 19")
    assert reused.endswith(", commit 0123456 with changes")
    again = describe_reason("row", failed, make_record("failed", state=State.DIVERGED))
    assert again.startswith("runs     row [failed]: attempt 1 was diverged on ")
    assert again.endswith(" (ValueError: broken)")
    assert describe_reason("row", new, None, [old, done]) == (
        "runs     row [new]: never run; closest is old, which differs in data: d1 -> d2; optim.lr: 0.2 -> 0.1"
    )
    assert describe_reason("row", new, None) == "runs     row [new]: no trial has been run here"


def test_many_differences_are_counted() -> None:
    trial = identity("new", **{f"key{number}": number for number in range(9)})
    text = describe_reason("row", trial, None, [identity("old")])
    assert text.endswith("key5: not set -> 5; and 3 more")
