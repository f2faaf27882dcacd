"""Why trials run or are reused: in groups, and field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.commands.closest_trial import FinishedTrials, Identity
from orchestrator.commands.dry_run import plan_as_text
from orchestrator.commands.reason_kind import Kind
from orchestrator.commands.reasons import Reason, Reasons, describe_changes, finished_identities
from orchestrator.commands.why import describe_reasons
from orchestrator.machine.text_table import plain
from orchestrator.planning.identity import canonical
from orchestrator.planning.naming import plan_in
from orchestrator.planning.plan import SweepPlan
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from trainer.config import RESULT_VERSION, OptimConfig, TrainConfig

MakeRecord = Callable[..., AttemptRecord]
ReadSpace = Callable[..., SweepSpec]


def identity(trial_id: str, **content: object) -> Identity:
    return Identity(trial_id=trial_id, content=content)


def test_differences_name_the_field_and_both_values() -> None:
    now, then = identity("now", lr=0.1, steps=10, dtype="half"), identity("then", lr=0.2, steps=10)
    assert now.differences(then) == {"lr": (0.2, 0.1), "dtype": ("not set", "half")}


def test_the_nearest_has_the_fewest_differences_and_the_same_seed() -> None:
    trial = identity("t", a=1, b=[2], c=3, seed=1)
    far, near = identity("far", a=9, b=[9], c=3, seed=1), identity("near", a=1, b=[2], c=9, seed=0)
    others = [far, near, identity("nearest", a=1, b=[2], c=9, seed=1), identity("also near", a=9, b=[2], c=3, seed=0)]
    assert FinishedTrials(others).nearest(trial).trial_id == "nearest"
    assert FinishedTrials([far]).nearest(trial) == far
    assert FinishedTrials(others).other_seed(trial) is None
    repeated = identity("repeated", a=1, b=[2], c=3, seed=5)
    assert FinishedTrials([*others, repeated]).other_seed(trial) == repeated


def test_the_nearest_is_that_of_a_comparison_one_by_one() -> None:
    known = [identity(f"{a}{b}{c}", a=a, b=str(b), c=[c]) for a in range(3) for b in range(3) for c in range(3)]
    for trial in (identity("x", a=1, b="7", c=[2]), identity("y", a=7, b="7", c=[7]), identity("z", a=0, b="2")):
        slow = min(known, key=lambda other: len(trial.differences(other)))
        assert FinishedTrials(known).nearest(trial) == slow


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


def test_many_differences_are_counted() -> None:
    text = describe_changes({f"key{number}": ("not set", number) for number in range(9)})
    assert text.endswith("key5: not set -> 5; and 3 more")


SPACE = """method: ablation
recipe: small
seeds: 2
rows:
  plain: {contrast.source: none}
  pixel: {contrast.memory.kind: pixel}
"""


@pytest.fixture
def directory() -> RunDirectory:
    return RunDirectory("runs")


@pytest.fixture
def swept(read_space: ReadSpace, make_record: MakeRecord, directory: RunDirectory) -> SweepPlan:
    """Two rows with two seeds; all are done but one."""
    plan = plan_in(directory, read_space(SPACE))
    store = RecordStore("runs")
    store.write_sweep(plan.record)
    for number, trial in enumerate(plan.trials):
        facts = {"data": trial.data_digest, **plan.workload.identity}
        store.start(trial.trial_id, 1, canonical(trial.config), time=1.0, facts=facts)
        record = make_record(trial.trial_id, state=State.DIVERGED if number == 3 else State.DONE)
        environment = {"commit": "0123456789", "dirty": "yes"}
        store.end(replace(record, environment=environment, ended_at=0.0))
    return plan


def kinds_of(plan: SweepPlan, directory: RunDirectory) -> Counter[Kind]:
    return Counter(reason.kind for reason in Reasons(plan, directory))


def explained(directory: RunDirectory, spec: SweepSpec, *, every: bool = False) -> list[str]:
    """What `why` says, after comparing its counts with those of the reasons, and those of the dry run."""
    plan = plan_in(directory, spec)
    lines = plain(describe_reasons(plan, directory, every=every))
    kinds = kinds_of(plan, directory)
    to_run = [kind for kind in kinds if kind.verb == "runs"]
    assert (
        f": {len(plan.trials)} trials: {kinds[Kind.REUSED]} reused, {sum(kinds[k] for k in to_run)} to run" in lines[0]
    )
    assert sum(int(line.split()[0]) for line in lines[3:] if line[:6].strip().isdigit()) == len(plan.trials)
    dry = plain(plan_as_text(spec, plan, directory))
    assert f"{kinds[Kind.REUSED]} done already, {sum(kinds[k] for k in to_run)} to run" in dry[1]
    if directory.sweep_names() == [plan.record.name] and set(to_run) != {Kind.NOT_RUN}:
        assert dry[1].partition(" to run: ")[2] == lines[0].partition(" to run: ")[2], "both know the earlier plan"
    return lines


def test_what_is_done_is_reused_and_what_failed_runs_again(
    swept: SweepPlan, directory: RunDirectory, read_space: ReadSpace
) -> None:
    lines = explained(directory, read_space(SPACE), every=True)
    assert lines[0] == "s: 4 trials: 3 reused, 1 to run: 1 failed before"
    assert lines[3].split() == [
        "1",
        "runs",
        "failed",
        "before:",
        "diverged",
        "(ValueError:",
        "broken)",
        "pixel,",
        "seed",
        "1",
    ]
    assert " ".join(lines[4].split()).endswith(", commit 0123456 with changes plain; pixel, seeds 0, 1")
    assert sum(line.startswith("reused   ") for line in lines) == 3
    assert lines[-1].startswith("runs     pixel, seed 1 [")
    assert lines[-1].endswith(" (ValueError: broken)")


def test_new_seeds(swept: SweepPlan, directory: RunDirectory, read_space: ReadSpace) -> None:
    for lines in (
        explained(directory, read_space(SPACE.replace("seeds: 2", "seeds: 4"))),
        explained(directory, read_space(SPACE, seeds=4)),
    ):
        assert lines[0].endswith(": 8 trials: 3 reused, 5 to run: 4 new seeds, 1 failed before")
        assert lines[3].split() == ["4", "runs", "new", "seeds", "plain;", "pixel,", "seeds", "2,", "3"]
        assert lines[-1] == "--all shows each trial"


def test_a_changed_key_with_its_values(swept: SweepPlan, directory: RunDirectory, read_space: ReadSpace) -> None:
    edited = SPACE.replace("memory.kind: pixel}", "memory.kind: pixel, contrast.temperature: 0.2}")
    lines = explained(directory, read_space(edited))
    assert lines[0] == "s: 4 trials: 2 reused, 2 to run: 2 with changed keys"
    assert " ".join(lines[3].split()) == "2 runs contrast.temperature: 0.1 -> 0.2 pixel, seeds 0, 1"
    everywhere = explained(directory, read_space(SPACE, settings=["optim.lr=0.5"]), every=True)
    assert "4 with changed keys" in everywhere[0]
    assert everywhere[-1].endswith("which differs in optim.lr: 0.01 -> 0.5; seed: 0 -> 1")


def test_edits_at_once(swept: SweepPlan, directory: RunDirectory, read_space: ReadSpace) -> None:
    edited = SPACE.replace("seeds: 2", "seeds: 3").replace("kind: pixel}", "kind: pixel, contrast.temperature: 0.2}")
    lines = explained(directory, read_space(edited + "  region: {contrast.memory.kind: region}\n"))
    assert lines[0] == "s: 9 trials: 2 reused, 7 to run: 1 new seed, 3 of new rows, 3 with changed keys"


def test_a_new_seed_of_a_row_of_which_nothing_is_done(
    swept: SweepPlan, directory: RunDirectory, read_space: ReadSpace
) -> None:
    """It is planned, so it has not changed."""
    more = SPACE + "  region: {contrast.memory.kind: region}\n"
    RecordStore("runs").write_sweep(plan_in(directory, read_space(more)).record)
    lines = explained(directory, read_space(more.replace("seeds: 2", "seeds: 3")))
    assert lines[0] == "s: 9 trials: 3 reused, 6 to run: 3 new seeds, 1 failed before, 2 not run yet"


def test_a_new_row_and_a_planned_one(swept: SweepPlan, directory: RunDirectory, read_space: ReadSpace) -> None:
    more = read_space(SPACE + "  region: {contrast.memory.kind: region}\n")
    lines = explained(directory, more)
    assert lines[0] == "s: 6 trials: 3 reused, 3 to run: 2 of new rows, 1 failed before"
    assert lines[3].endswith(" region, seeds 0, 1")
    RecordStore("runs").write_sweep(plan_in(directory, more).record)
    assert explained(directory, more)[0] == "s: 6 trials: 3 reused, 3 to run: 1 failed before, 2 not run yet"


def test_without_a_finished_trial(directory: RunDirectory, read_space: ReadSpace) -> None:
    lines = explained(directory, read_space(SPACE))
    assert lines[0] == "s: 4 trials: 0 reused, 4 to run: 4 not run yet"
    assert "no trial has been run here" in lines[3]


def test_a_group_of_changes_names_the_first(directory: RunDirectory, swept: SweepPlan) -> None:
    from orchestrator.commands.why import describe_changes as describe

    group = [
        Reason(trial_id=str(value), kind=Kind.CHANGED, text="", detail="", changes={"optim.lr": (0.1, value)})
        for value in (0.2, 0.3, 0.3)
    ]
    assert describe(group) == "optim.lr: 0.1 -> 0.2 and 1 more"
