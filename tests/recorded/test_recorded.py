"""A run directory recorded by version 0.1: later versions open it, resume it and make the same tables of it.

`runs` holds two sweeps (`search_spaces`) without checkpoints, pictures and caches; host names and paths are replaced.
`tables` holds what version 0.1 made of exactly this directory, and its `status --json`; later notes are added, and the
numbers of the trials of a search.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import orchestrator
from orchestrator.__main__ import main as command
from orchestrator.planning.adaptive.search import TrialBuilder, open_search
from orchestrator.planning.identity import canonical
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.attempt_record import State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import PlannedRun, Row
from orchestrator.sweep import main as sweep_command
from reports.__main__ import main as report
from reports.write import make_table, write_reports
from tests.orchestrator.conftest import log_and_draw_nothing

HERE = Path(__file__).parent
TEMPERATURE = "contrast.temperature"
SWEEPS = ("recorded", "recorded_search")
FAILED = {"b749bde7b1ee", "07bf914675e5", "c982f4a23c3f"}
"""The trials of the row `temperature too small`."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A copy of the run directory as `runs`, and the search spaces, in the current folder; its result version is 2."""
    monkeypatch.setattr("trainer.workload.ContrastiveSegmentation.result_version", 2)
    shutil.copytree(HERE / "search_spaces", tmp_path, dirs_exist_ok=True)
    shutil.copytree(HERE / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trial_files(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("trials/*/*")) if path.name != "lock"}


@pytest.mark.parametrize("name", SWEEPS)
def test_the_tables_are_the_same_bytes(name, tmp_path):
    results = RunDirectory(HERE / "runs").results(name)
    write_reports(results, tmp_path, table=make_table(results))
    golden = {path.name: path.read_bytes() for path in (HERE / "tables" / name).iterdir()}
    del golden["status.json"]
    assert {"table.md", "table.tex", "table.csv", "preview.tex"} <= golden.keys()
    for file, content in golden.items():
        assert (tmp_path / file).read_bytes() == content, file
    assert {path.name for path in tmp_path.glob("classes.*")} == {file for file in golden if "classes" in file}


@pytest.mark.slow
def test_the_report_command_prints_the_recorded_table(place, capsys):
    assert report(["recorded.yaml", "--style", "markdown"]) == 1, "three runs failed"
    assert capsys.readouterr().out.startswith((HERE / "tables/recorded/table.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "code"), [("recorded", 1), ("recorded_search", 0)])
def test_status_counts_the_same(name, code, place, capsys):
    assert command(["status", f"{name}.yaml", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found.pop("damaged") == {}
    assert found == json.loads((HERE / "tables" / name / "status.json").read_text())


def test_the_record_store_opens_the_directory(place):
    before = trial_files(place)
    store = RecordStore("runs")
    recorded = RunDirectory("runs").sweep("recorded")
    outcomes = store.outcomes(recorded.trial_ids)
    assert {key for key, record in outcomes.items() if record.state is not State.DONE} == FAILED
    assert len(outcomes) == 18
    assert all(len(list(RunDirectory("runs").points(key))) >= 2 for key in outcomes.keys() - FAILED)
    assert trial_files(place) == before


def test_planning_gives_the_recorded_trials_and_reuses_those_that_are_done(place, capsys):
    recorded = RunDirectory("runs").sweep("recorded")
    plan = orchestrator.plan("recorded.yaml")
    assert plan.record.cells == recorded.cells
    assert sweep_command(["recorded.yaml", "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["trials"]
    assert {trial["trial_id"] for trial in planned} == set(recorded.trial_ids)
    assert {trial["trial_id"] for trial in planned if trial["status"] != "done"} == FAILED
    for trial in plan.trials:
        assert (
            json.loads(json.dumps(canonical(trial.config)))
            == RunDirectory("runs").trial_facts(trial.trial_id)["config"]
        )


@pytest.mark.parametrize("journal", ["whole", "cut", "garbled", "missing"])
def test_the_search_resumes_with_nothing_to_run(journal, place, capsys, monkeypatch):
    path = place / "runs/sweeps/recorded_search/study.journal"
    if journal == "missing":
        path.unlink()
    elif journal != "whole":
        path.write_bytes(path.read_bytes()[:700] if journal == "cut" else b"\x00" * 90)
    monkeypatch.setattr("orchestrator.running.worker.run_trial", lambda *_: pytest.fail("a trial runs"))
    log_and_draw_nothing(monkeypatch)
    before = trial_files(place)
    assert sweep_command(["recorded_search.yaml", "--executor", "serial"]) == 0
    assert "trial 5" in capsys.readouterr().out
    assert trial_files(place) == before


def test_a_search_over_a_key_that_was_renamed_resumes(place):
    """Version 0.1 had called `schedule.accumulation_steps` so before."""
    old, new = "schedule.portions", "schedule.accumulation_steps"
    spec = Path("recorded_search.yaml")
    spec.write_text(
        spec.read_text()
        .replace("contrast.anchors.kind: {values: [hard, random]}", f"{old}: {{values: [1, 2]}}")
        .replace("trials: 6", "trials: 3")
    )
    plan = orchestrator.plan("recorded_search.yaml").record
    read = read_spec(spec)
    row, trial = TrialBuilder(read, read.search, run_dir=Path("runs")).build(0, {TEMPERATURE: 0.2, new: 2})
    search = {key: plan.search[key] for key in ("sampler", "trials", "objectives", "parameters")}
    search["parameters"][1]["key"] = old
    run = PlannedRun(row=row.label, seed=0, trial_id=trial.trial_id)
    as_then = replace(
        plan, rows=(Row(label=row.label, factors={TEMPERATURE: 0.2, old: 2}),), cells=(run,), search=search
    )
    RecordStore("runs").write_sweep(as_then)
    resumed = open_search(read, read.search, orchestrator.plan("recorded_search.yaml"), RunDirectory("runs"))
    assert resumed.record.rows == (row,)
    assert [trial.trial_id for trial in resumed.resume({})] == [trial.trial_id]
    assert resumed.next_trial({}) is not None
    assert resumed.record.rows[1].label == "trial 1"
