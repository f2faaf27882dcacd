"""The contract of workloads holds for the built-in trainer, the example trainer and the example script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.spec.extends import SEARCH_SPACE, read_extended
from orchestrator.spec.workload_key import workload_in
from orchestrator.testing.workload import WorkloadContract
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import built_in
from trainer.config import ContrastConfig, DataConfig, ModelConfig, ScheduleConfig, SyntheticConfig, TrainConfig

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


class TestBuiltIn(WorkloadContract):
    @pytest.fixture
    def workload(self) -> LoadedWorkload:
        return built_in()

    @pytest.fixture
    def config(self, workload: LoadedWorkload) -> Any:
        del workload
        images = SyntheticConfig(train_images=4, val_images=2, test_images=2, height=32, width=64)
        return TrainConfig(
            data=DataConfig(name="synthetic", crop=(32, 64), synthetic=images),
            model=ModelConfig(backbone="timm/test_resnet", head="hrnet", head_channels=16, output_stride=32),
            contrast=ContrastConfig(source="none"),
            schedule=ScheduleConfig(steps=4, batch_size=2, eval_every_steps=2),
        ).normalised()


class TestExampleTrainer(WorkloadContract):
    @pytest.fixture
    def workload(self) -> LoadedWorkload:
        return workload_in(read_extended(EXAMPLES / "own_trainer" / "digits.yaml", SEARCH_SPACE))

    @pytest.fixture
    def config(self, workload: LoadedWorkload) -> Any:
        return replace(workload.config_type(), steps=150)


class TestExampleScript(WorkloadContract):
    @pytest.fixture
    def workload(self) -> LoadedWorkload:
        return workload_in(read_extended(EXAMPLES / "own_script" / "digits.yaml", SEARCH_SPACE))

    @pytest.fixture
    def config(self, workload: LoadedWorkload) -> Any:
        return replace(workload.config_type(), steps=150)
