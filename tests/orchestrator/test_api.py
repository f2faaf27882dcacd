"""What a trial's share of a machine means for its processes."""

from __future__ import annotations

import pytest

from orchestrator.api import runtime_of
from orchestrator.policy import Resources
from trainer.config import Runtime


@pytest.mark.parametrize(
    ("resources", "ranks", "threads"),
    [
        (Resources(), 1, 1),
        (Resources(cpus=3, gpus="auto"), 1, 3),
        (Resources(cpus=0.5, gpus=0.25), 1, 1),
        (Resources(cpus=8, gpus=4, ranks=4), 4, 2),
        (Resources(cpus=2, gpus=4, ranks=4), 4, 1),
    ],
)
def test_the_ranks_of_a_trial_divide_its_cpus(resources: Resources, ranks: int, threads: int) -> None:
    assert runtime_of(resources) == Runtime(ranks=ranks, threads=threads)
