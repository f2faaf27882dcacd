"""What the command line does, for Python."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.api import RunOptions, carry_out, runtime_of
from orchestrator.errors import StoreError, SweepError
from orchestrator.planning.plan import TrialSelection, plan_sweep
from orchestrator.running.task import Task
from orchestrator.spec.blocks import Resources
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.record_store import RecordStore
from orchestrator.store.records import State, SweepRecord
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.json_events import EventTracker
from orchestrator.tracking.uri import tracking_uri_of
from trainer.config import Runtime

PROJECT = Path(__file__).resolve().parents[2]

SEARCH = """
name: tiny
question: Which rate?
recipe: ./tiny_recipe.yaml
method: random
metric: {name: val/miou, goal: maximize}
seeds: [1]
trials: 2
parameters:
  contrast.temperature: {min: 0.05, max: 0.5}
"""
"""All its trials fail: `quick_options` lets no seed 1 of a contrastive loss pass."""


def test_plan_and_sweep_are_all_one_imports(tiny_space: Path) -> None:
    code = (
        "import json, sys; from orchestrator import plan, sweep; found = plan(sys.argv[1], seeds=3);"
        "print(json.dumps([len(found.trials), callable(sweep), sorted({'torch', 'ray', 'mlflow'} & set(sys.modules))]))"
    )
    line = [sys.executable, "-c", code, str(tiny_space)]
    result = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(result.stdout) == [6, True, []]


def test_a_sweep_runs_what_is_missing_and_writes_its_tables(tiny_space: Path, quick_options: RunOptions) -> None:
    result = api.sweep(tiny_space, options=quick_options)
    states = sorted(record.state for record in result.outcomes.values())
    assert states == [State.DONE, State.DONE, State.DONE, State.USER_ERROR]
    assert not result.completed
    assert result.mirror_failure is None
    assert {path.name for path in result.files.values()} >= {"table.md", "table.csv"}
    again = api.sweep(tiny_space, seeds=1, options=quick_options)
    assert again.completed
    assert {record.attempt for record in again.outcomes.values()} == {1}


def test_a_trial_of_a_search_is_run_again_alone(tiny_space: Path, quick_options: RunOptions) -> None:
    tiny_space.write_text(SEARCH)
    first = api.sweep(tiny_space, settings=["schedule.steps=9"], options=quick_options)
    suggested = [cell.trial_id for cell in first.plan.record.cells]
    assert [first.outcomes[key].attempt for key in suggested] == [1, 1]
    tiny_space.write_text(SEARCH.replace("trials: 2", "trials: 4"))
    spec = read_spec(tiny_space, settings=["schedule.steps=9"])
    seen: list[str] = []
    selection = TrialSelection(trials=(suggested[1][:6],))
    again = carry_out(
        spec,
        plan_sweep(spec, run_dir=Path("runs")),
        quick_options,
        lambda todo: seen.extend(trial.trial_id for trial in todo) or (),
        selection,
    )
    assert seen == [suggested[1]]
    assert [cell.trial_id for cell in again.plan.record.cells] == suggested, "no trial was added"
    assert [again.outcomes[key].attempt for key in suggested] == [1, 2]


def test_a_wrong_space_and_a_store_in_use_raise(tiny_space: Path, quick_options: RunOptions) -> None:
    with pytest.raises(SweepError, match="nowhere"):
        api.sweep("nowhere.yaml", options=quick_options)
    with RecordStore("runs").lock(), pytest.raises(StoreError):
        api.sweep(tiny_space, options=quick_options)


def test_the_command_line_of_a_sweep_is_recorded(tiny_space: Path, quick_options: RunOptions) -> None:
    spec = read_spec(tiny_space)
    plan = plan_sweep(spec, run_dir=Path("runs"))
    carry_out(spec, plan, quick_options, lambda _: (), command="python -m orchestrator.sweep tiny.yaml")
    assert RunDirectory("runs").sweep("tiny").command == "python -m orchestrator.sweep tiny.yaml"
    values = RunDirectory("runs").sweep("tiny").to_json()
    del values["command"]
    assert SweepRecord.from_json(values).command == "", "as in stores of earlier versions"


def test_an_interrupted_sweep_writes_its_table_and_says_so(tiny_space: Path, quick_options: RunOptions) -> None:
    class Impatient(EventTracker):
        """Ctrl-C at the second start."""

        def started(self, task: Task) -> None:
            self.count = getattr(self, "count", 0) + 1
            if self.count == 2:
                signal.raise_signal(signal.SIGINT)

    with (tiny_space.parent / "events").open("w") as stream, pytest.raises(KeyboardInterrupt):
        api.sweep(tiny_space, options=quick_options, trackers=[Impatient(stream)])
    ids = [cell.trial_id for cell in RunDirectory("runs").sweep("tiny").cells]
    states = sorted(record.state for record in RunDirectory("runs").outcomes(ids).values())
    assert states == [State.CANCELLED, State.DONE], "the second ends at its next report, no third one starts"
    assert (quick_options.out / "tiny" / "table.md").exists()


@pytest.mark.parametrize(
    ("resources", "ranks", "threads"),
    [
        (Resources(), 1, 1),
        (Resources(cpus=3, gpus="auto"), 1, 3),
        (Resources(cpus=0.5, gpus=0.25), 1, 1),
        (Resources(cpus=8, gpus=4, ranks=4), 4, 2),
        (Resources(cpus=2, gpus=4, ranks=4), 4, 1),
    ],
)
def test_the_ranks_of_a_trial_divide_its_cpus(resources: Resources, ranks: int, threads: int) -> None:
    assert runtime_of(resources) == Runtime(ranks=ranks, threads=threads)


def test_mlflows_store_is_the_given_one_then_the_environments_then_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert tracking_uri_of("http://here") == "http://here"
    assert tracking_uri_of(None) == "http://there"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking_uri_of(None) == "sqlite:///mlflow.db"
