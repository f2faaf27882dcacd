"""Small sweeps and records that the orchestrator's tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.execution.base import Task
from orchestrator.records import AttemptRecord, Cell, ErrorRecord, Row, State, SweepRecord
from orchestrator.spec import SweepSpec, read_spec
from trainer.config import Runtime, ScheduleConfig, TrainConfig


@pytest.fixture
def sweep() -> SweepRecord:
    """Two rows, two seeds, four trials."""
    rows = (Row(label="without", factors={"contrast.source": "none"}), Row(label="with | pipe", factors={}))
    ids = {"without": "base", "with | pipe": "full"}
    cells = tuple(Cell(row=row.label, seed=seed, trial_id=f"{ids[row.label]}{seed}") for seed in (0, 1) for row in rows)
    return SweepRecord(
        name="tiny",
        question="Does it work?",
        method="ablation",
        recipe="synthetic",
        metric="final/miou",
        goal="maximize",
        baseline="without",
        rows=rows,
        seeds=(0, 1),
        cells=cells,
        spec="name: tiny\n",
    )


@pytest.fixture
def make_record() -> Callable[..., AttemptRecord]:
    def make(trial_id: str, *, state: State = State.DONE, attempt: int = 1, **metrics: float) -> AttemptRecord:
        error = None if state is State.DONE else ErrorRecord(kind="ValueError", message="broken", traceback="Traceback")
        return AttemptRecord(
            trial_id=trial_id,
            attempt=attempt,
            state=state,
            started_at=100.0,
            ended_at=160.0,
            metrics={key.replace("__", "/"): value for key, value in metrics.items()},
            error=error,
            environment={"commit": "abc", "host": "here"},
        )

    return make


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    def make(trial_id: str, *, attempt: int = 1, steps: int = 100) -> Task:
        config = TrainConfig(schedule=ScheduleConfig(steps=steps))
        return Task(trial_id=trial_id, attempt=attempt, config=config, runtime=Runtime(), workdir=tmp_path / trial_id)

    return make


@pytest.fixture
def read_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SweepSpec]:
    """`read_space("method: ...")`: the text as `s.yaml` in the current folder, beside a recipe `small`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text("data: {crop: [64, 64]}\nschedule.steps: 10\n")

    def read(text: str, **options: object) -> SweepSpec:
        Path("s.yaml").write_text(text, encoding="utf-8")
        return read_spec(Path("s.yaml"), **options)

    return read
