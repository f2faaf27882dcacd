"""Placement: the share of each trial, from what a probe measured, and clusters that are too small."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.identity import shape_of
from orchestrator.planning.plan import Trial
from orchestrator.running.gpu_packing import GpuPacking, packed_share
from orchestrator.running.task import Share
from orchestrator.spec.blocks import Resources
from orchestrator.store.attempt_record import AttemptRecord, State
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
SMALL = Trial(trial_id="small", config=TrainConfig())
LARGE = Trial(trial_id="large", config=TrainConfig(schedule=ScheduleConfig(batch_size=64)))


def probe_record(state: State = State.DONE, peak_gb: float = 16.0) -> AttemptRecord:
    metrics = {"probe/peak_memory_gb/0": peak_gb, "probe/device_memory_gb/0": 80.0} if state is State.DONE else {}
    return AttemptRecord(trial_id="t", attempt=0, state=state, started_at=0, ended_at=1, metrics=metrics)


@pytest.mark.parametrize(
    ("peak", "share"),
    [
        (16.0, 1 / 4),
        (14.0, 1 / 5),
        (40.0, 1.0),
        (36.0, 1 / 2),
        (80.0, 1.0),
        (0.1, 1 / 16),
        (24.0, 1 / 3),
        (0.0, 1 / 16),
    ],
)
def test_shares_are_one_over_k_with_a_tenth_to_spare(peak: float, share: float) -> None:
    assert packed_share(peak, 80) == pytest.approx(share)
    assert share * 80 >= min(1.1 * peak, 80)


def test_a_shape_depends_on_what_decides_memory_and_nothing_else() -> None:
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
    packing = GpuPacking(Resources(cpus=2))
    assert packing.share(SMALL, Share(cpus=8)) == Share(cpus=2)
    assert packing.share(SMALL, CLUSTER) is None
    packing.add_probe([SMALL], probe_record())
    assert packing.share(SMALL, CLUSTER) == Share(cpus=2, gpus=0.25)
    packing.add_probe([LARGE], probe_record(State.OUT_OF_MEMORY))
    assert packing.share(LARGE, CLUSTER) == Share(cpus=2, gpus=1.0), "after a failed probe, a whole GPU"
    assert GpuPacking(Resources(gpus=0.5)).share(SMALL, CLUSTER) == Share(cpus=1, gpus=0.5), "a number is not measured"


def test_a_trial_with_several_ranks_gets_whole_gpus_without_a_probe() -> None:
    packing = GpuPacking(Resources(ranks=4))
    for gpus, taken in ((0, 0), (1, 1), (2, 2), (4, 4), (8, 4)):
        assert packing.share(SMALL, Share(cpus=8, gpus=gpus)) == Share(cpus=1, gpus=taken)


@given(peak=st.floats(0.1, 100))
def test_a_share_is_enlarged_to_one_over_k_until_it_is_a_whole_gpu(peak: float) -> None:
    packing = GpuPacking(Resources())
    packing.add_probe([SMALL], probe_record(peak_gb=peak))
    share = packing.share(SMALL, CLUSTER)
    assert share is not None
    for _ in range(10):
        if not packing.enlarge(SMALL, share):
            break
        larger = packing.share(SMALL, CLUSTER)
        assert larger is not None
        assert larger.gpus >= min(1.0, 2 * share.gpus) - 1e-9
        assert 1 / larger.gpus == pytest.approx(round(1 / larger.gpus))
        share = larger
    assert share.gpus == 1.0


def test_a_trial_waits_while_its_shape_is_probed() -> None:
    packing = GpuPacking(Resources())
    assert packing.can_start(SMALL, CLUSTER, CLUSTER, probing=[])
    assert not packing.can_start(SMALL, CLUSTER, Share(cpus=8, gpus=0.5), probing=[]), "a probe takes a whole GPU"
    assert not packing.can_start(SMALL, CLUSTER, CLUSTER, probing=[replace(SMALL, trial_id="same shape")])
    assert packing.can_start(SMALL, CLUSTER, CLUSTER, probing=[LARGE])
    packing.add_probe([SMALL], probe_record())
    assert packing.can_start(SMALL, CLUSTER, Share(cpus=8, gpus=0.25), probing=[])


def test_running_out_of_memory_doubles_the_share_of_that_shape_once_for_all_its_trials() -> None:
    packing = GpuPacking(Resources())
    for trial in (SMALL, LARGE):
        packing.add_probe([trial], probe_record())
    quarter = Share(cpus=1, gpus=0.25)
    assert packing.enlarge(LARGE, quarter)
    assert packing.enlarge(LARGE, quarter), "a second trial of the shape had started with a quarter too"
    assert packing.share(LARGE, CLUSTER) == Share(cpus=1, gpus=0.5)
    assert packing.share(SMALL, CLUSTER) == quarter
    assert packing.enlarge(LARGE, Share(cpus=1, gpus=0.5))
    assert not packing.enlarge(LARGE, Share(cpus=1, gpus=1.0)), "the whole GPU was not enough"
    assert not packing.enlarge(LARGE, Share(cpus=1)), "there is no larger CPU"


def test_the_smallest_share_is_the_least_that_any_trial_may_take() -> None:
    packing = GpuPacking(Resources(cpus=2))
    assert packing.smallest_share(CLUSTER) == Share(cpus=2, gpus=1.0)
    assert packing.smallest_share(Share(cpus=8)) == Share(cpus=2), "without GPUs trials run on CPUs"
    packing.add_probe([SMALL], probe_record())
    assert packing.smallest_share(CLUSTER) == Share(cpus=2, gpus=0.25)
    assert GpuPacking(Resources(gpus=4)).smallest_share(CLUSTER) == Share(cpus=1, gpus=4.0)


def test_a_cluster_that_is_too_small_ends_the_sweep_after_a_minute_without_a_running_trial() -> None:
    packing, nothing = GpuPacking(Resources()), Share(cpus=0)
    assert packing.shortage(nothing, 0.0, idle=True) == ""
    assert packing.shortage(nothing, 60.0, idle=True) == ""
    assert packing.shortage(nothing, 61.0, idle=False) == "", "while a trial runs the minute does not begin"
    assert packing.shortage(nothing, 62.0, idle=True) == ""
    assert packing.shortage(CLUSTER, 100.0, idle=True) == "", "a node came back"
    assert packing.shortage(nothing, 200.0, idle=True) == ""
    assert packing.shortage(nothing, 261.0, idle=True).startswith("the cluster is too small for any trial")
