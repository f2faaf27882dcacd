"""Shares of a GPU from what a probe measured."""

from dataclasses import replace

import pytest

from orchestrator.planning.shape import shape_of
from orchestrator.running.gpu_packing import Need, Packing, largest_fraction
from orchestrator.running.task import Share
from trainer.config import (
    ContrastConfig,
    DataConfig,
    MemoryConfig,
    ModelConfig,
    OptimConfig,
    ScheduleConfig,
    TrainConfig,
)

CLUSTER = Share(cpus=8, gpus=2)


@pytest.mark.parametrize(
    ("peak", "share"),
    [(16.0, 1 / 4), (14.0, 1 / 5), (40.0, 1.0), (36.0, 1 / 2), (80.0, 1.0), (0.1, 1 / 16), (24.0, 1 / 3)],
)
def test_shares_are_the_largest_one_over_k_with_a_tenth_to_spare(peak: float, share: float) -> None:
    assert largest_fraction(Need(peak_gb=peak, device_gb=80)) == pytest.approx(share)
    assert share * 80 >= min(1.1 * peak, 80)


def test_a_shape_is_what_decides_memory_and_nothing_else() -> None:
    config = TrainConfig()
    alike = [
        replace(config, seed=5),
        replace(config, optim=OptimConfig(lr=0.5)),
        replace(config, contrast=ContrastConfig(temperature=0.5, weight=0.5)),
        replace(config, schedule=ScheduleConfig(steps=config.schedule.steps * 2)),
    ]
    others = [
        replace(config, data=DataConfig(crop=(64, 64))),
        replace(config, model=ModelConfig(head="hrnet" if config.model.head != "hrnet" else "ocr")),
        replace(config, schedule=ScheduleConfig(batch_size=config.schedule.batch_size + 1)),
        replace(config, contrast=ContrastConfig(memory=MemoryConfig(pixels_per_class=7))),
        replace(config, contrast=ContrastConfig(source="none")),
    ]
    assert {shape_of(other) for other in alike} == {shape_of(config)}
    assert len({shape_of(other) for other in [config, *others]}) == 1 + len(others)


def test_auto_measures_first_where_there_is_a_gpu() -> None:
    packing = Packing(cpus=2, gpus="auto")
    assert packing.share("s", Share(cpus=8)) == Share(cpus=2)
    assert packing.share("s", CLUSTER) is None
    packing.learn("s", Need(peak_gb=16, device_gb=80))
    assert packing.share("s", CLUSTER) == Share(cpus=2, gpus=0.25)
    packing.learn("t", None)
    assert packing.share("t", CLUSTER) == Share(cpus=2, gpus=1.0), "a failed probe packs nothing"
    assert Packing(cpus=1, gpus=0.5).share("s", CLUSTER) == Share(cpus=1, gpus=0.5), "a number is that number"


def test_running_out_of_memory_doubles_the_share_of_that_shape_once_for_all_its_trials() -> None:
    packing = Packing(cpus=1, gpus="auto")
    for shape in ("s", "t"):
        packing.learn(shape, Need(peak_gb=16, device_gb=80))
    quarter = Share(cpus=1, gpus=0.25)
    assert packing.enlarge("s", quarter)
    assert packing.enlarge("s", quarter), "a second trial of the shape had started with a quarter too"
    assert packing.share("s", CLUSTER) == Share(cpus=1, gpus=0.5)
    assert packing.share("t", CLUSTER) == quarter
    assert packing.enlarge("s", Share(cpus=1, gpus=0.5))
    assert not packing.enlarge("s", Share(cpus=1, gpus=1.0)), "the whole GPU was not enough"
    assert not packing.enlarge("s", Share(cpus=1)), "there is no larger CPU"
