"""A sweep that is killed, signalled, suspended and starved at random moments ends as an undisturbed one does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.job import ChaosJob
from tests.chaos.scene import Pace

IN_CI = ("kill-driver", "kill-worker", "kill-fork-server", "full-run-dir", "cut-checkpoint")
"""Each is another way in which a sweep resumes on Ray; the last one ends it by SIGTERM first. Parts of Ray that are
killed (`tests/end_to_end/test_ray_failures.py`) and bad answers of MLflow
(`tests/orchestrator/commands/test_sync_faults.py`) have tests of their own."""
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", len(IN_CI)))
"""Number of faults; more than in CI are drawn from all of FAULTS."""
SEED = 2021


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, because the paths of sockets must be short."""
    with tempfile.TemporaryDirectory(prefix="c", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


@pytest.mark.slow  # Ray starts again after each death of a driver
@pytest.mark.timeout(600 + 60 * ROUNDS)
def test_a_disturbed_sweep_ends_as_an_undisturbed_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if len(IN_CI) < ROUNDS:
        job = ChaosJob(folder, rounds=ROUNDS, seed=SEED)
    else:
        job = ChaosJob(folder, rounds=ROUNDS, seed=SEED, names=IN_CI, pace=Pace(seeds=2, more_seeds=1, figures=False))
    lines: list[str] = []
    verdict = job.run(lines.append)
    assert not verdict.findings, "\n".join([*lines, str(verdict)])
    assert sum(verdict.by_fault.values()) >= ROUNDS - 1, "at most the small disk may be missing"


def test_every_fault_says_what_it_does() -> None:
    assert set(IN_CI) <= FAULTS.keys()
    assert all(type(fault).__doc__ for fault in FAULTS.values())
