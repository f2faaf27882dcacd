"""A trial's network as a model of MLflow: logged, loaded again, and predicting the same."""

from collections.abc import Callable
from dataclasses import replace

import mlflow
import pytest
import torch

from orchestrator.errors import StoreError
from orchestrator.running.task import Task
from orchestrator.running.worker import run_trial
from orchestrator.store.attempt_record import AttemptRecord, Point
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.mlflow_models import exported_model
from orchestrator.workload.loading import built_in
from tests.orchestrator.tracking.conftest import World
from trainer.config import (
    ContrastConfig,
    DataConfig,
    ModelConfig,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)

SMALL = TrainConfig(
    data=DataConfig(
        name="synthetic",
        crop=(32, 64),
        synthetic=SyntheticConfig(train_images=4, val_images=2, test_images=2, height=32, width=64),
    ),
    model=ModelConfig(backbone="timm/test_resnet", weights="none", head="hrnet", head_channels=16, output_stride=32),
    contrast=ContrastConfig(source="none"),
    schedule=ScheduleConfig(steps=2, batch_size=2, eval_every_steps=1),
)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of MLflow's packaging
def test_a_model_is_logged_once_and_predicts_what_the_trial_did(
    world: World, sweep: SweepRecord, make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", world.uri)
    sweep = replace(sweep, models="best")
    task = replace(make_task("base0"), config=SMALL, workdir=world.store.workdir("base0"))
    points: list[Point] = []
    record: AttemptRecord = run_trial(task, points.append)
    assert record.error is None
    validated = [point.metrics for point in points if "val/miou" in point.metrics]
    assert all(0.01 < metrics["system/rss_gb"] < 100 for metrics in validated)

    world.store.start("base0", 1, {"data.crop": [32, 64], "data.name": "synthetic", "schedule.steps": 2}, time=100.0)
    world.store.end(record)
    assert world.catch_up(sweep) == ["base0"]
    assert world.catch_up(sweep) == []
    child = world.child("without", 0)
    (output,) = child.outputs.model_outputs
    assert child.data.tags["model"] == f"models:/{output.model_id}"

    loaded = mlflow.pytorch.load_model(child.data.tags["model"])
    image_B3HW = torch.rand(3, 3, 32, 64)
    with torch.inference_mode():
        logits_BCHW = loaded(image_B3HW)
        expected_BCHW = exported_model(built_in(), task.workdir, "best").network(image_B3HW)
    assert logits_BCHW.shape == (3, 11, 32, 64)
    torch.testing.assert_close(logits_BCHW, expected_BCHW)
    info = mlflow.models.get_model_info(child.data.tags["model"])
    assert "(-1, 11, 32, 64)" in str(info.signature)
    assert info.saved_input_example_info is not None


def test_a_checkpoint_that_is_not_there_is_one_line(world: World) -> None:
    with pytest.raises(StoreError, match=r"no best checkpoint for a model \(no checkpoint \(last\.pt\);") as caught:
        exported_model(built_in(), world.folder, "best")
    assert str(caught.value).count(str(world.folder)) == 1
