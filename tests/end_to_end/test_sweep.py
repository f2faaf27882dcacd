"""From a YAML file to a table, as a user does it: `python -m orchestrator.sweep`."""

import json
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.records import read_points
from tests.end_to_end.conftest import Command, attempts


@pytest.mark.slow
def test_a_sweep_on_ray_trains_logs_writes_the_table_and_does_nothing_twice(folder: Path, command: Command) -> None:
    first = command("orchestrator.sweep", "tiny.yaml")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "tiny: 4 trials, 0 done already, 4 to run" in first.stdout
    assert "w/o contrast" in first.stdout

    # the store: every trial done in one attempt, contrast rows with a loss and a pure, filled bank
    records = attempts(folder)
    assert len(records) == 4
    assert all([record["state"] for record in history] == ["done"] for history in records.values())
    for trial_id in records:
        config = json.loads((folder / "runs" / "trials" / trial_id / "trial.json").read_text())["config"]
        points = list(read_points(folder / "runs", trial_id))
        contrast = [point.metrics["train/contrast"] for point in points if "train/contrast" in point.metrics]
        if config["contrast.source"] == "none":
            assert not any(contrast)
        else:
            assert contrast[-1] > 0
            last = {key: value for point in points for key, value in point.metrics.items()}
            assert last["contrast/purity"] == 1.0
            assert last["contrast/bank_fill"] > 0

    # the table in four formats
    tables = folder / "reports" / "out" / "tiny"
    assert {path.name for path in tables.iterdir()} >= {"table.md", "table.tex", "table.html", "table.csv"}
    assert "pixel + region memory" in (tables / "table.md").read_text(encoding="utf-8")

    # MLflow: one parent, four children
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"FINISHED"}
    parent = next(run for run in runs if run.data.tags["role"] == "sweep")
    assert {item.path for item in client.list_artifacts(parent.info.run_id, "tables")} >= {"tables/table.tex"}
    child = next(run for run in runs if run.data.tags.get("row") == "pixel + region memory")
    assert {"val/miou", "final/miou", "train/loss", "contrast/purity"} <= set(child.data.metrics)

    # again: nothing runs, the table is there
    began = time.monotonic()
    again = command("orchestrator.sweep", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - began < 10
    assert "4 done already, 0 to run" in again.stdout
    assert attempts(folder) == records

    # a row more: only its seeds run
    space = (folder / "tiny.yaml").read_text() + "  region memory:         {contrast.memory.kind: region}\n"
    (folder / "tiny.yaml").write_text(space)
    extended = command("orchestrator.sweep", "tiny.yaml")
    assert extended.returncode == 0, extended.stderr
    assert "6 trials, 4 done already, 2 to run" in extended.stdout
    new = attempts(folder)
    assert len(new) == 6
    assert {key: new[key] for key in records} == records

    # a grid that shares the baseline does not train it again
    grid = """
    name: grid
    recipe: ./tiny_recipe.yaml
    method: grid
    seeds: 2
    baseline: {contrast.source: none}
    parameters: {contrast.temperature: {values: [0.1, 0.5]}, contrast.memory.kind: {value: pixel_region}}
    """
    (folder / "grid.yaml").write_text("\n".join(line.removeprefix("    ") for line in grid.splitlines()))
    shared = command("orchestrator.sweep", "grid.yaml", "--executor", "serial")
    assert shared.returncode == 0, shared.stderr
    assert "6 trials, 4 done already, 2 to run" in shared.stdout

    # the table again, from the records alone
    rebuilt = command("reports", "tiny.yaml")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "region memory" in rebuilt.stdout


def test_serial_and_json_events(folder: Path, command: Command) -> None:
    result = command("orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--executor", "serial", "--json")
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] != "reported"] == [
        "begin",
        "started",
        "ended",
        "started",
        "ended",
        "finish",
    ]
    assert all(0 <= event["metrics"]["final/miou"] <= 1 for event in events if event["event"] == "ended")


def test_a_failed_trial_costs_itself_only_and_the_exit_code_says_so(folder: Path, command: Command) -> None:
    space = (
        (folder / "tiny.yaml")
        .read_text()
        .replace(
            "  pixel + region memory: {contrast.memory.kind: pixel_region}",
            "  diverges: {contrast.source: none, optim.lr: 1e30}",
        )
    )
    (folder / "tiny.yaml").write_text(space)
    result = command("orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--executor", "serial")
    assert result.returncode == 1
    assert "DivergedError" in result.stdout
    states = sorted(record["state"] for history in attempts(folder).values() for record in history)
    assert states == ["done", "failed"]
    rebuilt = command("reports", "tiny.yaml")
    assert rebuilt.returncode == 1


def test_resuming_in_mid_trial_gives_the_same_numbers(folder: Path, command: Command) -> None:
    """The driver is killed between two checkpoints of a trial; its figures are those of an undisturbed run."""
    line = ("orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--executor", "serial")
    assert command(*line, "--run-dir", "undisturbed").returncode == 0
    undisturbed = {
        path.parent.name: json.loads(path.read_text()) for path in folder.glob("undisturbed/trials/*/a*.json")
    }
    assert len(undisturbed) == 2
    assert command(*line).returncode == 0
    for trial_id, (record,) in attempts(folder).items():
        finals = {key: value for key, value in record["metrics"].items() if not key.startswith("cost/")}
        expected = {
            key: value for key, value in undisturbed[trial_id]["metrics"].items() if not key.startswith("cost/")
        }
        assert finals == expected
