"""Every plan that a sweep has had is kept, counts as a reference, and gives its table again, byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.__main__ import main as orchestrator
from orchestrator.api import RunOptions
from orchestrator.errors import StoreError
from orchestrator.running import worker
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import KeptDirectory, RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from reports.__main__ import main as reports
from tests.orchestrator.test_api import SEARCH

Capture = pytest.CaptureFixture[str]
MakeRecord = Callable[..., AttemptRecord]
TABLES = ("table.md", "table.tex", "table.csv", "table.html", "runs.parquet")


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder of reports."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def edited(tiny_space: Path, quick_options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The tables of a plan of two rows, after which the file was edited, a failed trial run again and a row added."""
    fails = {"now": True}
    failing = worker.run_trial

    def work(task: Task, report: Callable[[Point], None]) -> AttemptRecord:
        record = failing(task, report)
        if fails["now"] or record.state is not State.USER_ERROR:
            return record
        return replace(record, state=State.DONE, error=None, metrics={"final/miou": 0.75})

    monkeypatch.setattr("orchestrator.running.worker.run_trial", work)
    api.sweep(tiny_space, options=quick_options)
    first = content_of(quick_options.out / "tiny")
    fails["now"] = False
    with monkeypatch.context() as patch:  # the figures of the first plan are compared
        patch.setattr("reports.figures.choose.choose", lambda *given, **named: {})
        api.sweep(tiny_space, options=quick_options)
        text = tiny_space.read_text().replace("a memory help", "a large memory help")
        tiny_space.write_text(text + "  region memory:         {contrast.memory.kind: region}\n")
        api.sweep(tiny_space, options=quick_options)
    return first


@pytest.mark.usefixtures("figures")
def test_an_earlier_table_is_rebuilt_byte_for_byte(edited: dict[str, bytes], quick_options: RunOptions) -> None:
    assert set(TABLES) <= edited.keys()
    assert any(name.startswith("figures/") for name in edited)
    assert reports(["tiny.yaml", "--plan", "1", "--out", "again"]) == 1, "a trial of this plan had failed"
    rebuilt = content_of(Path("again/tiny/plan_1"))
    assert sorted(name for name in edited if edited[name] != rebuilt.get(name)) == []
    assert b"region memory" in content_of(quick_options.out / "tiny")["table.csv"]


def test_the_list_of_plans_says_what_differs(edited: dict[str, bytes], capsys: Capture) -> None:
    assert orchestrator(["status", "tiny.yaml", "--plans"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE", line) for line in lines]
    question = "question: Does a memory help? -> Does a large memory help?"
    assert [line for line in shown if line][:5] == [
        "tiny: 3 plans",
        "plan  kept on           done  what differs from the one before",
        "   1  DATE   3/4  first plan",
        "   2  DATE   4/4  same plan, other results",
        f"   3  DATE   6/6  {question}; new rows: region memory; text of the search space",
    ]
    assert orchestrator(["status", "tiny.yaml", "--plans", "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)["plans"]
    assert [(plan["number"], plan["done"], plan["trials"]) for plan in plans] == [(1, 3, 4), (2, 4, 4), (3, 6, 6)]


def test_a_plan_that_shows_the_same_is_not_kept_again(tiny_space: Path, quick_options: RunOptions) -> None:
    for _ in range(2):
        api.sweep(tiny_space, seeds=1, options=quick_options)
    (name,) = RunDirectory("runs").sweep_names()
    assert RunDirectory("runs").kept_numbers(name) == [1]


def test_a_search_keeps_one_plan_per_command_however_often_it_grows(
    tiny_space: Path, quick_options: RunOptions
) -> None:
    for trials in (2, 5):
        tiny_space.write_text(SEARCH.replace("trials: 2", f"trials: {trials}\nmax_consecutive_failures: 0"))
        api.sweep(tiny_space, options=quick_options)
    kept = RunDirectory("runs").kept_plans("tiny")
    assert [len(plan.sweep.rows) for plan in kept] == [2, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan", "7"], "runs: no plan 7 of the sweep 'tiny'; choose 1, 2, 3"),
        (["--plan", "1", "--from", "mlflow"], "--plan 1: plans are kept in the run directory only; use --from store"),
        (["tiny.yaml", "--plan", "1"], "--plan 1: a number of one sweep's plans; name one SPEC.yaml"),
    ],
)
def test_a_wrong_number_is_one_line(
    arguments: list[str], message: str, edited: dict[str, bytes], capsys: Capture
) -> None:
    capsys.readouterr()
    assert reports(["tiny.yaml", *arguments]) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_the_plan_of_an_older_run_directory_is_kept_before_another_replaces_it(
    tiny_space: Path, quick_options: RunOptions, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    """A run directory of before has no plans/; its trials stay referenced after the next command."""
    store = RecordStore("runs")
    store.write_sweep(sweep)
    for trial_id in sweep.trial_ids:
        store.end(make_record(trial_id, final__miou=0.5))
    api.sweep(tiny_space, options=quick_options)
    kept = store.kept_plan("tiny", 1)
    assert kept.sweep == sweep
    assert kept.attempts == dict.fromkeys(sweep.trial_ids, 1)
    assert orchestrator(["clean", "--yes"]) == 0
    assert set(sweep.trial_ids) <= set(store.files.names("trials"))


def test_the_points_of_a_driver_that_was_killed_are_those_of_then(
    tmp_path: Path, sweep: SweepRecord, make_record: MakeRecord
) -> None:
    store = RecordStore(tmp_path)
    store.write_sweep(sweep)
    store.start("base0", 1, {}, time=1.0)
    store.append("base0", Point(step=4, metrics={"val/miou": 0.1}, time=2.0))
    kept = store.keep_plan("tiny")
    assert kept is not None
    assert (kept.begun, kept.attempts, kept.done) == ({"base0": 1}, {}, 0)
    store.end(replace(make_record("base0", state=State.LOST), error=None))
    for trial_id, attempt in (("base0", 2), ("full0", 1)):
        store.append(trial_id, Point(step=4, metrics={"val/miou": 0.2}, time=3.0, attempt=attempt))
        store.end(make_record(trial_id, attempt=attempt, final__miou=0.5))
    assert store.kept_results(kept).outcomes == {}
    then = KeptDirectory(tmp_path, kept)
    assert [point.attempt for point in then.points("base0")] == [1, 1]
    assert list(then.points("full0")) == []
    later = store.keep_plan("tiny")
    assert later is not None
    assert store.kept_results(later).outcomes == store.outcomes(["base0", "full0"])


def test_a_damaged_plan_is_named_and_stops_the_cleaning(tmp_path: Path, sweep: SweepRecord) -> None:
    store = RecordStore(tmp_path)
    store.write_sweep(sweep)
    store.keep_plan("tiny")
    whole = store.files.read("sweeps/tiny/plans/001.json") or b""
    for content in (b"{}", whole.replace(b"Does it work", b"Does it pork"), b""):
        store.files.write("sweeps/tiny/plans/001.json", content)
        with pytest.raises(StoreError, match=r"plans/001\.json: damaged plan .*; restore it from a copy"):
            store.kept_plans("tiny")
    with pytest.raises(StoreError, match=r"plans/001\.json: missing or empty"):
        store.clean(["base0"])


@pytest.fixture
def quick_look(tiny_space: Path, quick_options: RunOptions) -> set[str]:
    """Ids of the trials of a plan that another has replaced."""
    first = api.sweep(tiny_space, options=quick_options)
    recipe = Path("tiny_recipe.yaml")
    recipe.write_text(recipe.read_text().replace("steps: 8", "steps: 6"))
    api.sweep(tiny_space, options=quick_options)
    return set(first.outcomes)


def test_clean_counts_every_plan_and_says_what_it_would_remove(quick_look: set[str], capsys: Capture) -> None:
    store = RecordStore("runs")
    assert orchestrator(["clean", "--yes"]) == 0
    assert capsys.readouterr().out == "unreferenced trials: 0, unneeded files: 0, together 0.0 MB\n"
    assert orchestrator(["clean", "--forget-plans"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["what", "of", "steps", "state", "size"]
    groups = sorted(line.split("  ") for line in lines[4:6])
    assert [group[:3] for group in groups] == [
        ["1", "trial", "tiny: pixel + region memory, seed 1"],
        ["3", "trial", "tiny: pixel + region memory; w/o contrast, seeds 0, 1"],
    ], "one failed, three are done"
    assert orchestrator(["clean", "--forget-plans", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"plan 1 of tiny, 4 trials, kept on \d{4}-\d\d-\d\d \d\d:\d\d", lines[1])
    shown = sorted(re.sub(r"  trials/.*", "", line) for line in lines[2:])
    assert shown == [
        "tiny, pixel + region memory, seed 0, 8 steps, done on 1970-01-01 00:02, 0.0 MB",
        "tiny, pixel + region memory, seed 1, 8 steps, user error on 1970-01-01 00:02, 0.0 MB",
        "tiny, w/o contrast, seed 0, 8 steps, done on 1970-01-01 00:02, 0.0 MB",
        "tiny, w/o contrast, seed 1, 8 steps, done on 1970-01-01 00:02, 0.0 MB",
    ]
    assert lines[0].startswith("plans: 1, unreferenced trials: 4, unneeded files: 0, together 0.0 MB; --yes deletes")
    assert quick_look <= set(store.files.names("trials")), "nothing is deleted without --yes"
    assert orchestrator(["clean", "--forget-plans", "tiny", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "deleted 1 plan and 4 of 4, 0.0 MB"
    assert not quick_look & set(store.files.names("trials"))
    assert store.kept_numbers("tiny") == [2]


def test_the_trials_of_a_deleted_sweep_still_say_what_they_were(quick_look: set[str], capsys: Capture) -> None:
    store = RecordStore("runs")
    store.files.delete_folder("sweeps/tiny")
    assert orchestrator(["clean", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert sum(line.startswith("tiny, w/o contrast, seed 1, 6 steps, done on ") for line in lines) == 1


def test_an_unknown_sweep_to_forget_is_one_line(quick_look: set[str], capsys: Capture) -> None:
    capsys.readouterr()
    assert orchestrator(["clean", "--forget-plans", "tony"]) == 2
    assert capsys.readouterr().err.startswith("runs: no sweep 'tony'; there are: tiny.")
