"""What a trial's share of a machine means for its processes."""

from __future__ import annotations

import pytest

from orchestrator.spec import Resources
from orchestrator.sweep import trial_runtime
from trainer.config import Runtime


@pytest.mark.parametrize(
    ("resources", "ranks", "threads"),
    [
        (Resources(), 1, 1),
        (Resources(cpus=3, gpus="auto"), 1, 3),
        (Resources(cpus=0.5, gpus=0.25), 1, 1),
        (Resources(cpus=2, gpus=1), 1, 2),
        (Resources(cpus=8, gpus=4), 4, 2),
        (Resources(cpus=2, gpus=4), 4, 1),
    ],
)
def test_several_whole_gpus_are_as_many_ranks(resources, ranks, threads):
    assert trial_runtime(resources) == Runtime(ranks=ranks, threads=threads)
