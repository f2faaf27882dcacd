"""From a YAML file to a table, as a user does it: `python -m orchestrator.sweep`."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.store.run_directory import RunDirectory
from tests.end_to_end.conftest import Command, attempts, run_module, write_tiny

GRID = """
name: grid
recipe: ./tiny_recipe.yaml
method: grid
seeds: 2
baseline: {contrast.source: none}
parameters: {contrast.temperature: {values: [0.1, 0.5]}, contrast.memory.kind: {value: pixel_region}}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny sweep has run on Ray; to be looked at only.

    While it ran, files of the folder were called like packages, which neither driver, mirror nor workers import.
    """
    folder = tmp_path_factory.mktemp("swept")
    write_tiny(folder)
    hiding = [folder / f"{name}.py" for name in ("json", "mlflow", "numpy", "reports", "torch", "trainer", "yaml")]
    for path in hiding:
        path.write_text("raise SystemExit(f'imported {__file__}')\n", encoding="utf-8")
    result = run_module(folder, "orchestrator.sweep", "tiny.yaml", python=("-X", "importtime"))
    for path in hiding:
        path.unlink()
    assert result.returncode == 0, result.stdout + result.stderr
    (folder / "imports.txt").write_text(result.stderr, encoding="utf-8")
    assert "tiny: 4 trials, 0 done already, 4 to run" in result.stdout
    assert "| w/o contrast |" in result.stdout
    return folder


@pytest.fixture
def copy(swept: Path, folder: Path) -> Path:
    """A copy of `swept`, the test's own, and its current folder; MLflow keeps whole paths of artifacts."""
    shutil.copytree(swept, folder, dirs_exist_ok=True)
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            line = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - of names that stand above
            connection.execute(line, (str(swept), str(folder)))
    return folder


def test_every_trial_is_done_in_one_attempt_and_the_rows_differ_as_they_should(swept: Path) -> None:
    records = attempts(swept)
    assert len(records) == 4
    assert all([record["state"] for record in history] == ["done"] for history in records.values())
    for trial_id in records:
        config = json.loads((swept / "runs" / "trials" / trial_id / "trial.json").read_text())["config"]
        points = list(RunDirectory(swept / "runs").points(trial_id))
        contrast = [point.metrics["train/contrast"] for point in points if "train/contrast" in point.metrics]
        if config["contrast.source"] == "none":
            assert not any(contrast)
        else:
            assert contrast[-1] > 0
            last = {key: value for point in points for key, value in point.metrics.items()}
            assert last["contrast/purity"] == 1.0
            assert last["contrast/bank_fill"] > 0


def test_the_driver_does_not_import_mlflow(swept: Path) -> None:
    """It costs seconds, and its work takes turns from the driver's: a process of its own does that."""
    lines = (swept / "imports.txt").read_text(encoding="utf-8").splitlines()
    packages = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    assert "orchestrator" in packages
    assert "mlflow" not in packages


def test_the_table_is_written_in_four_formats(swept: Path) -> None:
    tables = swept / "reports" / "out" / "tiny"
    assert {path.name for path in tables.iterdir()} >= {"table.md", "table.tex", "table.html", "table.csv"}
    assert "pixel + region memory" in (tables / "table.md").read_text(encoding="utf-8")


def test_mlflow_shows_one_parent_with_its_children_and_the_table(swept: Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{swept / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"FINISHED"}
    parent = next(run for run in runs if run.data.tags["role"] == "sweep")
    assert {item.path for item in client.list_artifacts(parent.info.run_id, "tables")} >= {"tables/table.tex"}
    child = next(run for run in runs if run.data.tags.get("row") == "pixel + region memory")
    assert {"val/miou", "final/miou", "train/loss", "contrast/purity"} <= set(child.data.metrics)


@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_the_same_command_again_runs_nothing(
    copy: Path, command_here: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = attempts(copy)
    sessions = tmp_path_factory.mktemp("ray")
    monkeypatch.setenv("RAY_TMPDIR", str(sessions))
    again = command_here("orchestrator.sweep", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    assert list(sessions.iterdir()) == [], "Ray is not started"
    assert "4 done already, 0 to run" in again.stdout
    assert attempts(copy) == records


@pytest.mark.usefixtures("without_figures")
def test_a_row_more_runs_only_that_row(swept: Path, copy: Path, command_here: Command) -> None:
    records = attempts(copy)
    space = (copy / "tiny.yaml").read_text() + "  region memory:         {contrast.memory.kind: region}\n"
    (copy / "tiny.yaml").write_text(space)
    extended = command_here("orchestrator.sweep", "tiny.yaml", "--executor", "serial")
    assert extended.returncode == 0, extended.stderr
    assert "6 trials, 4 done already, 2 to run" in extended.stdout
    new = attempts(copy)
    assert len(new) == 6
    assert {path.name for path in swept.rglob("mlruns/*/*")} < {path.name for path in copy.rglob("mlruns/*/*")}
    assert {key: new[key] for key in records} == records
    rebuilt = command_here("reports", "tiny.yaml")  # the table again, from the records alone
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "| region memory |" in rebuilt.stdout


@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_a_grid_that_shares_the_baseline_does_not_train_it_again(copy: Path, command_here: Command) -> None:
    (copy / "grid.yaml").write_text(GRID)
    shared = command_here("orchestrator.sweep", "grid.yaml", "--executor", "serial")
    assert shared.returncode == 0, shared.stderr
    assert "6 trials, 4 done already, 2 to run" in shared.stdout


@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_serial_and_json_events_and_equal_trials_give_equal_numbers(
    swept: Path, folder: Path, command_here: Command
) -> None:
    """In this process and on Ray, in two run directories: the figures of a trial are a function of its name."""
    result = command_here("orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--executor", "serial", "--json")
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
    serial, on_ray = attempts(folder), attempts(swept)
    assert len(serial) == 2
    for trial_id in serial:
        (found,), (expected,) = (
            [without_cost(record["metrics"]) for record in history[trial_id]] for history in (serial, on_ray)
        )
        assert found == expected
        assert len(found) > 5


def without_cost(metrics: dict[str, float]) -> dict[str, float]:
    """The figures that do not depend on the machine."""
    return {key: value for key, value in metrics.items() if not key.startswith("cost/")}


@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_a_failed_trial_costs_itself_only_and_the_exit_code_says_so(folder: Path, command_here: Command) -> None:
    space = (
        (folder / "tiny.yaml")
        .read_text()
        .replace(
            "  pixel + region memory: {contrast.memory.kind: pixel_region}",
            "  diverges: {contrast.source: none, optim.lr: 1e30}",
        )
    )
    (folder / "tiny.yaml").write_text(space)
    result = command_here("orchestrator.sweep", "tiny.yaml", "--seeds", "1", "--executor", "serial")
    assert result.returncode == 1
    assert "DivergedError" in result.stdout
    states = sorted(record["state"] for history in attempts(folder).values() for record in history)
    assert states == ["diverged", "done"]
    rebuilt = command_here("reports", "tiny.yaml")
    assert rebuilt.returncode == 1
