"""Sweeps brought from the run directory to a server, and the two compared point by point."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from orchestrator.__main__ import main
from orchestrator.commands.sync import differences, sync_sweeps
from orchestrator.errors import StoreError
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from tests.orchestrator.tracking.conftest import CONFIG

MakeRecord = Callable[..., AttemptRecord]


@pytest.fixture
def filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: SweepRecord, make_record: MakeRecord, migrated: Path
) -> RecordStore:
    """A store with three trials done, one of them in two attempts, and one begun; and two empty servers."""
    for name in ("mlflow.db", "second.db"):
        (tmp_path / name).write_bytes(migrated.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")  # MLflow remembers relative ones
    store = RecordStore("runs")
    store.write_sweep(sweep)
    for number, cell in enumerate(sweep.cells):
        store.start(cell.trial_id, 1, CONFIG, time=100.0)
        for step in (10, 20):
            metrics = {"train/loss": 1 / step, "val/miou": float("nan") if number else step / 100}
            store.append(cell.trial_id, Point(step=step, metrics=metrics, time=100.0 + step))
        if number == 1:
            store.append(cell.trial_id, Point(step=20, metrics={"train/loss": 7.0}, time=140.0, attempt=2))
        if number < 3:
            store.end(make_record(cell.trial_id, final__miou=number / 10, val__miou=0.5, cost__train_minutes=1.5))
    return store


@pytest.mark.slow
def test_a_sync_is_complete_and_the_second_finds_nothing_to_do(filled: RecordStore, sweep: SweepRecord) -> None:
    (first,) = sync_sweeps("runs", ["tiny"], None)
    assert len(first.delivered) == 3
    assert differences("runs", "tiny", None) == []
    (second,) = sync_sweeps("runs", ["tiny"], None)
    assert (second.delivered, second.refused) == ((), {})
    assert differences("runs", "tiny", None) == []
    client = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.status for run in runs) == ["FINISHED", "FINISHED", "FINISHED", "KILLED", "KILLED"]
    parent = next(run for run in runs if run.data.tags["role"] == "sweep")
    tables = {item.path for item in client.list_artifacts(parent.info.run_id, "tables")}
    assert tables >= {"tables/table.md", "tables/table.tex", "tables/table.csv", "tables/table.html"}
    figures = {item.path for item in client.list_artifacts(parent.info.run_id, "figures")}
    assert figures >= {"figures/curves.png", "figures/means.pdf"}, "as at the end of the sweep"


@pytest.mark.usefixtures("without_figures")
def test_the_check_names_what_differs(filled: RecordStore, sweep: SweepRecord, capsys: pytest.CaptureFixture) -> None:
    list(sync_sweeps("runs", ["tiny"], None))
    client = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("contrast-sweep")
    assert experiment is not None
    runs = {run.data.tags.get("trial_id"): run for run in client.search_runs([experiment.experiment_id])}
    client.log_metric(runs["base0"].info.run_id, "train/loss", 9.0, step=30)
    filled.append("full0", Point(step=30, metrics={"train/loss": 0.25}, time=130.0))
    client.delete_run(runs["base1"].info.run_id)
    assert differences("runs", "tiny", None) == [
        "without, seed 0 [base0]: MLflow also has train/loss 9.0 at step 30",
        "with | pipe, seed 0 [full0]: MLflow lacks train/loss 0.25 at step 30",
        "without, seed 1 [base1]: no run",
    ]
    assert main(["sync", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny: 3 differences between MLflow and the run directory"
    assert lines[1:] == [f"  {line}" for line in differences("runs", "tiny", None)]


@pytest.mark.usefixtures("without_figures")
def test_the_command_says_what_it_did(filled: RecordStore, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    second = f"sqlite:///{tmp_path / 'second.db'}"
    assert main(["sync", "--tracking-uri", second]) == 0
    assert capsys.readouterr().out == "tiny: 3 of 4 trials delivered, MLflow had the others\n"
    assert main(["sync", "all", "--tracking-uri", second, "--check"]) == 0
    assert capsys.readouterr().out == "tiny: MLflow and the run directory are equal\n"


def test_a_sweep_that_runs_keeps_its_mirror_to_itself(filled: RecordStore) -> None:
    with RecordStore("runs").lock(), pytest.raises(StoreError, match="another sweep is writing here"):
        list(sync_sweeps("runs", ["tiny"], None))
