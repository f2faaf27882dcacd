"""Results of other code of the trainer: never reused in silence, whichever way the user decides."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.api import RunOptions, SweepOutcome
from orchestrator.commands.dry_run import plan_as_json, plan_as_text
from orchestrator.commands.why import describe_reasons
from orchestrator.machine.text_table import plain
from orchestrator.planning.plan import SweepPlan, plan_sweep
from orchestrator.planning.stale import StaleCodeError
from orchestrator.spec.sweep_spec import SweepSpec, read_spec
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.git_state import CodeState
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.sweep import main
from reports.sources.run_directory import load_sweep
from reports.tables.class_table import build_class_tables
from reports.tables.table import build_table
from tests.other_code import SAMPLER, copy_trainer, invert_sampler, pretend_code
from trainer import code_digest
from trainer.code_digest import present_code

World = Callable[[], str]


@pytest.fixture
def change_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Inverts the `hard` sampler for the rest of the test; returns the digest of that code."""

    def change() -> str:
        package = copy_trainer(tmp_path / "other")
        invert_sampler(package)
        pretend_code(monkeypatch, package)
        return present_code()

    return change


@pytest.fixture(autouse=True)
def this_code() -> object:
    """The code of the repository again after each test."""
    yield
    code_digest.present_files.cache_clear()
    code_digest.present_code.cache_clear()


@pytest.fixture
def options(quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> RunOptions:
    """No trial trains, all succeed; the figure of a trial depends on the code and the seed."""

    def work(task, report) -> AttemptRecord:
        report(Point(step=1, metrics={"val/miou": 0.25}, attempt=task.attempt))
        value = int(present_code(), 16) % 997 / 1000 + task.config.seed / 100
        metrics = {"final/miou": value, "final/iou/road": value, "cost/train_minutes": 1.0}
        times = {"started_at": 100.0, "ended_at": 160.0}
        return AttemptRecord(trial_id=task.trial_id, attempt=task.attempt, state=State.DONE, metrics=metrics, **times)

    monkeypatch.setattr("orchestrator.running.worker.run_trial", work)
    return quick_options


def planned(path: Path) -> tuple[SweepSpec, SweepPlan]:
    spec = read_spec(path)
    return spec, plan_sweep(spec, run_dir=Path("runs"))


def values(outcome: SweepOutcome) -> set[float]:
    return {record.metrics["final/miou"] for record in outcome.outcomes.values()}


def test_every_attempt_has_the_digest_and_the_run_directory_its_files(tiny_space: Path, options: RunOptions) -> None:
    outcome = api.sweep(tiny_space, options=options)
    assert {record.code for record in outcome.outcomes.values()} == {present_code()}
    known = json.loads(Path("runs", "code", f"{present_code()}.json").read_text())
    assert known["files"][SAMPLER] == code_digest.present_files()[SAMPLER]
    assert outcome.plan.record.code[0] == present_code()


def test_other_code_stops_the_sweep_and_nothing_is_written(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    first = api.sweep(tiny_space, options=options)
    assert api.sweep(tiny_space, options=options).outcomes == first.outcomes, "equal code: reused"
    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    was = present_code()
    change_code()
    with pytest.raises(StaleCodeError) as refused:
        api.sweep(tiny_space, options=options)
    message = str(refused.value)
    assert "\n" not in message
    assert (
        f"4 finished trials were computed by other code of the trainer ({was}), which differs in {SAMPLER}" in message
    )
    assert "--rerun-stale" in message
    assert "--accept-stale" in message
    assert "python -m trainer.golden" in message
    after = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file() and "lock" not in path.name}
    assert after == {path: content for path, content in before.items() if "lock" not in path.name}


def test_the_command_line_exits_with_2(
    tiny_space: Path, options: RunOptions, change_code: World, capsys: pytest.CaptureFixture[str]
) -> None:
    api.sweep(tiny_space, options=options)
    change_code()
    arguments = [str(tiny_space), "--executor", "serial"]
    assert main(arguments) == 2
    assert SAMPLER in capsys.readouterr().err
    assert main([*arguments, "--accept-stale", "--out", "out"]) == 0
    assert "§" in capsys.readouterr().out


def test_the_dry_run_and_why_name_the_files(tiny_space: Path, options: RunOptions, change_code: World) -> None:
    api.sweep(tiny_space, options=options)
    change_code()
    spec, plan = planned(tiny_space)
    text = "\n".join(plain(plan_as_text(spec, plan, RunDirectory("runs"))))
    assert "4 trials, 0 done already, 4 stale, 0 to run" in text
    assert f"which differs in {SAMPLER}" in text
    assert re.search(r"^row +done +to run +stale$", text, re.MULTILINE)
    assert re.search(r"^w/o contrast +– +– +seeds 0, 1$", text, re.MULTILINE)
    entries = json.loads(plan_as_json(plan, RunDirectory("runs")))["trials"]
    assert {entry["status"] for entry in entries} == {"stale"}
    reasons = plain(describe_reasons(plan, RunDirectory("runs"), every=True))
    assert reasons[0] == f"{plan.record.name}: 4 trials: 0 reused, 0 to run; 4 stale: code changed"
    assert all(line.startswith("stale ") and SAMPLER in line for line in reasons[-4:])
    assert any(line.startswith("stale: --rerun-stale") for line in reasons)
    again = "\n".join(plain(plan_as_text(spec, plan, RunDirectory("runs"), choice="rerun")))
    assert "4 trials, 0 done already, 4 to run" in again
    assert "4 trials, 4 done already, 0 to run" in "\n".join(
        plain(plan_as_text(spec, plan, RunDirectory("runs"), choice="accept"))
    )


def test_accepted_results_are_marked_in_every_table_and_not_asked_about_again(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    first = api.sweep(tiny_space, options=options)
    change_code()
    accepted = api.sweep(tiny_space, options=replace(options, stale="accept"))
    assert values(accepted) == values(first)
    assert accepted.completed
    again = api.sweep(tiny_space, options=options)
    assert again.outcomes == first.outcomes
    results = load_sweep(RunDirectory("runs"), "tiny")
    folder = options.out / "tiny"
    assert "§: computed by other code of the trainer than this plan's: w/o" in (folder / "table.md").read_text()
    assert "\\S" in (folder / "table.tex").read_text()
    assert "§" in (folder / "table.html").read_text()
    assert "other_code_seeds" in (folder / "table.csv").read_text()
    table = build_table(results)
    assert all("mixed" in text.marks for row in table.rows for text in row.cell_texts if text.mean)
    classes = build_class_tables(results)["classes"]
    assert all("mixed" in text.marks for row in classes.rows for text in row.cell_texts)
    reasons = plain(describe_reasons(planned(tiny_space)[1], RunDirectory("runs"), every=True))
    assert reasons[0] == "tiny: 4 trials: 4 reused, 0 to run"
    assert all(line.startswith("reused") and line.endswith(", accepted") for line in reasons[-4:])


def test_rerun_trials_count_and_the_earlier_plan_keeps_its_figures(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    first = api.sweep(tiny_space, options=options)
    earlier = RunDirectory("runs").sweep("tiny")
    points = {path: path.read_bytes() for path in Path("runs").rglob("points.jsonl")}
    change_code()
    second = api.sweep(tiny_space, options=replace(options, stale="rerun"))
    assert values(second).isdisjoint(values(first))
    assert {record.attempt for record in second.outcomes.values()} == {2}
    for outcome in (api.sweep(tiny_space, options=options), load_sweep(RunDirectory("runs"), "tiny")):
        assert outcome.outcomes == second.outcomes
    assert "§" not in (options.out / "tiny" / "table.md").read_text()
    store = RecordStore("runs")
    assert store.outcomes(earlier.trial_ids, plan=earlier) == first.outcomes
    for path, content in points.items():
        assert path.with_name("before_002_points.jsonl").read_bytes() == content
        assert all(point.attempt == 2 for point in store.points(path.parent.name))


def test_a_rerun_that_was_cut_short_shows_the_rest_as_marked(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    first = api.sweep(tiny_space, options=options)
    change_code()
    row, *_ = first.plan.record.rows
    spec, plan = planned(tiny_space)
    selection = api.TrialSelection(rows=(row.label,))
    api.carry_out(spec, plan, replace(options, stale="rerun"), lambda _: (), selection)
    table = build_table(load_sweep(RunDirectory("runs"), "tiny"))
    marked = {item.label for item in table.rows if "mixed" in item.cell_texts[0].marks}
    assert marked == {item.label for item in first.plan.record.rows} - {row.label}
    with pytest.raises(StaleCodeError, match="2 finished trials"):
        api.sweep(tiny_space, options=options)


def test_code_proven_equal_is_accepted_without_a_word(
    tiny_space: Path, options: RunOptions, change_code: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, was = api.sweep(tiny_space, options=options), present_code()
    monkeypatch.setattr(code_digest, "EQUAL_RESULT_VERSION", code_digest.RESULT_VERSION)
    monkeypatch.setattr(code_digest, "EQUAL_CODE", ((was, change_code()),))
    second = api.sweep(tiny_space, options=options)
    assert second.outcomes == first.outcomes
    assert "§" not in (options.out / "tiny" / "table.md").read_text()


def test_an_interrupted_trial_with_a_checkpoint_of_other_code_is_stale(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    plan = planned(tiny_space)[1]
    store, trial_id = RecordStore("runs"), plan.record.trial_ids[0]
    store.start(trial_id, 1, {"seed": 0}, time=1.0, facts={"code": present_code()})
    (store.workdir(trial_id) / "last.pt").write_bytes(b"weights")
    was = present_code()
    other = change_code()
    with pytest.raises(StaleCodeError, match="1 interrupted trial was computed by other code"):
        api.sweep(tiny_space, options=options)
    accepted = api.sweep(tiny_space, options=replace(options, stale="accept"))
    assert accepted.plan.record.accepted_code == {trial_id: was}
    assert store.trial_facts(trial_id)["code"] == other


def test_records_of_before_are_of_unknown_code_and_stand(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    api.sweep(tiny_space, options=options)
    for path in Path("runs", "trials").glob("*/attempt_001.json"):
        known = json.loads(path.read_text())
        del known["environment"]["code"]
        path.write_text(json.dumps(known))
    change_code()
    assert api.sweep(tiny_space, options=options).completed


def test_uncommitted_changes_are_readable_by_their_owner_only(
    tiny_space: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = CodeState(commit="c" * 40, diff="+password = 'hunter2'")
    monkeypatch.setattr("orchestrator.store.git_state.code_state", lambda: code)
    path = Path("runs", "code", f"{code.digest}.patch")
    path.parent.mkdir(parents=True)
    path.write_text("as an earlier version wrote it, for everybody")
    api.sweep(tiny_space, options=options)
    assert path.read_text() == f"{code.diff}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("first", ["present", "another"])
def test_a_lost_attempt_does_not_decide_about_a_later_result(
    tiny_space: Path, options: RunOptions, change_code: World, first: str
) -> None:
    """Code was edited between two attempts: what is asked about is the result, whatever code the lost attempt had."""
    trial_id = planned(tiny_space)[1].record.trial_ids[0]
    other = present_code()
    present = change_code()
    store = RecordStore("runs")
    finish(store, trial_id, 1, State.LOST, present if first == "present" else "8d1f2a3b4c5d")
    finish(store, trial_id, 2, State.DONE, other)
    with pytest.raises(StaleCodeError, match="1 finished trial was computed by other code"):
        api.sweep(tiny_space, options=options)
    accepted = api.sweep(tiny_space, options=replace(options, stale="accept"))
    assert accepted.outcomes[trial_id].attempt == 2
    assert accepted.plan.record.accepted_code == {trial_id: other}
    again = api.sweep(tiny_space, options=options)
    assert again.outcomes == accepted.outcomes
    assert store.next_attempt(trial_id) == 3, "no third attempt"


def test_a_trial_that_was_run_again_and_lost_is_not_asked_about_a_second_time(
    tiny_space: Path, options: RunOptions, change_code: World
) -> None:
    trial_id = planned(tiny_space)[1].record.trial_ids[0]
    other = present_code()
    present = change_code()
    store = RecordStore("runs")
    finish(store, trial_id, 1, State.DONE, other)
    finish(store, trial_id, 2, State.LOST, present)
    assert api.sweep(tiny_space, options=options).outcomes[trial_id].attempt == 3


def finish(store: RecordStore, trial_id: str, attempt: int, state: State, code: str) -> None:
    """Write the record of an attempt with this code."""
    metrics = {"final/miou": 0.5} if state is State.DONE else {}
    facts = {"environment": {"code": code}, "metrics": metrics}
    store.end(AttemptRecord(trial_id=trial_id, attempt=attempt, state=state, started_at=1.0, ended_at=2.0, **facts))
