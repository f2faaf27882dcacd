"""A worker: it trains the trial, or its failure is a record."""

import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.running.task import StopTrial, Task
from orchestrator.running.worker import run_trial
from orchestrator.store.attempt_record import Point, State
from trainer.config import (
    ContrastConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    Runtime,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)

TINY = TrainConfig(
    data=DataConfig(
        crop=(32, 64), synthetic=SyntheticConfig(train_images=4, val_images=1, test_images=2, height=32, width=64)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head="hrnet", head_channels=16, output_stride=32),
    contrast=ContrastConfig(source="none"),
    schedule=ScheduleConfig(steps=4, batch_size=2, eval_every_steps=2),
)


def make_task(config: TrainConfig, folder: Path, attempt: int = 1) -> Task:
    runtime = Runtime(device="cpu", log_every_steps=2)
    return Task(trial_id="tiny", attempt=attempt, config=config, runtime=runtime, workdir=folder / "tiny")


class Imports(pickle.Unpickler):
    """Notes the packages that unpickling imports."""

    def __init__(self, value: Any) -> None:
        super().__init__(io.BytesIO(pickle.dumps(value)))
        self.packages: set[str] = set()

    def find_class(self, module_name: str, global_name: str) -> Any:
        self.packages.add(module_name.partition(".")[0])
        return super().find_class(module_name, global_name)


def test_a_trial_reports_its_curve_and_ends_done(tmp_path: Path) -> None:
    points: list[Point] = []
    record = run_trial(make_task(TINY, tmp_path, attempt=3), points.append)
    assert (record.state, record.attempt, record.error) == (State.DONE, 3, None)
    assert 0 <= record.metrics["final/miou"] <= 1
    assert record.ended_at > record.started_at
    assert {point.step for point in points} == {2, 4}
    assert {point.attempt for point in points} == {3}
    assert any("val/miou" in point.metrics for point in points)
    assert record.environment["torch"]
    assert record.environment["decoder"].startswith("2 with libjpeg")
    assert record.environment["arithmetic"] == "float32, channels_last, foreach SGD"
    assert "cudnn" in record.environment
    assert record.environment["loader"] == "training thread"
    imports = Imports((record, *points))
    imports.load()
    assert imports.packages == {"orchestrator"}, "whoever reads a record imports nothing of a trainer"


@pytest.mark.parametrize(
    ("config", "state", "kind", "message"),
    [
        (replace(TINY, optim=OptimConfig(lr=1e30)), State.DIVERGED, "DivergedError", "the loss is"),
        (
            replace(TINY, data=DataConfig(name="camvid", root="no/such/folder")),
            State.DATA_ERROR,
            "DataError",
            "no/such/folder",
        ),
        (
            replace(TINY, model=ModelConfig(backbone="timm/resnet_of_nowhere")),
            State.USER_ERROR,
            "ValueError",
            "resnet_of_nowhere",
        ),
    ],
)
def test_a_failure_is_a_record_of_one_line_with_its_traceback(
    config: TrainConfig, state: State, kind: str, message: str, tmp_path: Path
) -> None:
    record = run_trial(make_task(config, tmp_path), lambda point: None)
    assert record.state is state
    assert record.metrics == {}
    assert record.error is not None
    assert record.error.kind == kind
    assert message in record.error.message
    assert "\n" not in record.error.message
    assert "Traceback" in record.error.traceback
    assert len(record.error.signature) == 8


def test_a_stopped_trial_has_a_record_with_that_state(tmp_path: Path) -> None:
    def stop(point: Point) -> None:
        raise StopTrial(State.CANCELLED)

    record = run_trial(make_task(TINY, tmp_path), stop)
    assert (record.state, record.error) == (State.CANCELLED, None)


def test_a_probe_measures_and_writes_nothing(tmp_path: Path) -> None:
    broken = replace(TINY, data=replace(TINY.data, name="camvid", root=str(tmp_path / "missing")))
    task = replace(make_task(TINY, tmp_path), probe=(TINY, broken, TINY))
    record = run_trial(task, lambda point: pytest.fail("a probe reports"))
    assert record.state is State.DONE
    assert set(record.metrics) == {"probe/step_seconds/0", "probe/step_seconds/2"}, "the one that fails has none"
    assert not (tmp_path / "tiny").exists()


def test_an_interrupt_passes_through(tmp_path: Path) -> None:
    def interrupt(point: Point) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(make_task(TINY, tmp_path), interrupt)


def test_the_next_attempt_resumes_where_an_interrupted_one_stopped(tmp_path: Path) -> None:
    whole = run_trial(make_task(TINY, tmp_path / "whole"), lambda point: None)
    task = make_task(TINY, tmp_path / "halves")
    often = replace(task, runtime=replace(task.runtime, checkpoint_every_steps=2))

    def stop_at_four(point: Point) -> None:
        if point.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(often, stop_at_four)
    steps: list[int] = []
    second = run_trial(often, lambda point: steps.append(point.step))
    assert set(steps) == {4}, "steps 1 and 2 are not repeated"
    figures = {key: value for key, value in whole.metrics.items() if not key.startswith("cost/")}
    assert {key: value for key, value in second.metrics.items() if not key.startswith("cost/")} == figures
