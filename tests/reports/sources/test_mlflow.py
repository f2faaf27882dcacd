"""MLflow alone gives the same table as the run directory, byte for byte."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.sync import differences, sync_sweeps
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.record_store import RecordStore
from orchestrator.tracking.mlflow_store import Server
from reports.__main__ import main
from tests.reports.conftest import make_outcomes, make_sweep

COLUMNS = (
    "final/miou",
    "final/iou/sign (front)",
    "val/best_miou",
    "contrast/purity",
    "cost/train_minutes",
    "train/loss",
)


def figures(number: int) -> dict[str, float]:
    """What a trial measured; digits that a sloppy path would lose."""
    return {
        "final/miou": 0.1 + number / 3,
        "final/iou/sign (front)": 1 / (number + 7),
        "val/best_miou": 2**-0.5 / (number + 1),
        "val/miou": 0.3,
        "contrast/purity": 1e-17 * (number + 1) if number != 4 else float("inf"),
        "cost/train_minutes": 4.1,
        f"final/iou/{'long ' * 60}": 0.5,
    }


@pytest.fixture
def swept(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RecordStore]:
    """A sweep in a store and in MLflow, and the store then gone from where reports look for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})  # they take seconds
    shutil.copy(migrated, "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")  # MLflow remembers relative ones
    Path("memory.yaml").write_text("name: ablation_memory\nrecipe: synthetic\n", encoding="utf-8")

    def sweep(name: str = "ablation_memory") -> RecordStore:
        rows: dict[str, Any] = {"base": {}, "pixel": {"contrast.memory.kind": "pixel"}, "same": {"x": 1}, "fails": {}}
        record = make_sweep(rows, shared={"same": "pixel"}, columns=COLUMNS, name=name)
        values: dict[str, list[Any]] = {
            "base": [figures(number) for number in range(3)],
            "pixel": [figures(number) for number in range(3, 6)],
            "fails": [figures(6), None, None],
        }
        outcomes: dict[str, AttemptRecord] = make_outcomes(values)
        store = RecordStore("runs")
        store.write_sweep(record)
        for trial_id, outcome in outcomes.items():
            environment = {"commit": "abc", "device": "cpu", "torch": "2.11"}
            store.start(trial_id, 1, {"schedule.steps": 20}, time=100.0)
            curve = {"train/loss": 0.25, "val/miou": 0.2, "contrast/purity": 0.5}
            store.append(trial_id, Point(step=20, metrics=curve, time=120.0))
            store.end(replace(outcome, environment=environment, started_at=100.0, ended_at=160.0))
        (done,) = sync_sweeps("runs", [name], None)
        assert not done.refused
        return store

    return sweep


def report(*arguments: str) -> dict[str, bytes]:
    """The files of a report, by name; without the page, which shows pictures that only the store has."""
    out = Path("out")
    shutil.rmtree(out, ignore_errors=True)
    assert main(["memory.yaml", "--out", str(out), *arguments]) == 1, "one trial was not run"
    return {path.name: path.read_bytes() for path in out.glob("*/table.*") if path.suffix != ".html"}


def test_every_table_is_equal_to_the_byte(swept: Callable[..., RecordStore]) -> None:
    swept()
    assert differences("runs", "ablation_memory", None) == []
    expected = report()
    assert len(expected) >= 3
    shutil.rmtree("runs")
    found = report("--from", "mlflow")
    texts = {name: (content, found[name]) for name, content in expected.items() if b"records verified" in content}
    assert {"table.md", "table.tex"} <= texts.keys()
    for name, (content, copy) in texts.items():
        assert b"Figures from MLflow, which holds a copy of the records: not verified." in copy
        expected[name], found[name] = without_verification(content), without_verification(copy)
    assert found == expected


def without_verification(content: bytes) -> list[bytes]:
    """The lines but for the one that says whether the records are verified."""
    return [line for line in content.splitlines() if b"verified" not in line]


def test_a_sweep_with_another_recipe_is_found_and_a_missing_one_is_one_line(
    swept: Callable[..., RecordStore], tmp_path: Path, migrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept("ablation_memory@lite0")
    shutil.copy(migrated, "empty.db")
    assert main(["memory.yaml", "--from", "mlflow"]) == 1
    capsys.readouterr()
    Path("memory.yaml").write_text("name: other\nrecipe: synthetic\n", encoding="utf-8")
    assert main(["memory.yaml", "--from", "mlflow"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no sweep 'other'; there are: ablation_memory@lite0" in error
    assert main(["memory.yaml", "--from", "mlflow", "--tracking-uri", f"sqlite:///{tmp_path / 'empty.db'}"]) == 2
    assert "no experiment 'contrast-sweep'; run a sweep" in capsys.readouterr().err


def test_runs_are_named_in_the_trace_and_on_the_page(
    swept: Callable[..., RecordStore], capsys: pytest.CaptureFixture[str]
) -> None:
    swept()
    server = Server(str(os.environ["MLFLOW_TRACKING_URI"]), create=False)
    runs = {run.tags["trial_id"]: run.run_id for run in server.runs("tags.role = 'trial' AND tags.row = 'pixel'")}
    assert main(["trace", "memory.yaml", "pixel", "final/miou", "--tracking-uri", server.uri]) == 0
    told = capsys.readouterr().out
    assert len(runs) == 3
    assert all(run_id in told for run_id in runs.values())
    assert "MLflow run" in told
    main(["memory.yaml", "--out", "out", "--style", "html", "--from", "mlflow"])
    page = Path("out/ablation_memory/table.html").read_text(encoding="utf-8")
    assert all(run_id[:12] in page for run_id in runs.values())
