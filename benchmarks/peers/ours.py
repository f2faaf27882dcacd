"""Ours: the trials as a workload, run by `python -m orchestrator.sweep` with record store and MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.work import TRIALS, train
from orchestrator.workload import Inputs, Metric, TrialResult


@dataclass(frozen=True, kw_only=True)
class Config:
    """The configuration of a trial."""

    seed: int = 0


class Peer:
    """The seven members of a workload."""

    config_type = Config
    result_version = 1
    metrics = (Metric(name="final/score", title="Score", direction="up", decimals=2, ranked=True),)

    def check(self, config: Config) -> None:
        """All seeds are fine."""

    def inputs(self, config: Config, remember: Any) -> Inputs:
        """It reads nothing."""
        return Inputs()

    def describe(self, rows: Any, seeds: str) -> str:
        """The caption."""
        return f"{TRIALS} trials, {seeds}"

    def train(
        self, config: Config, runtime: Any, workdir: Path, progress: Callable[[int, Mapping[str, float]], object]
    ) -> TrialResult:
        """One trial."""
        import torch  # noqa: F401 - as a trainer does; packages that it imports are imported once per node

        return TrialResult(
            metrics={"final/score": train(config.seed, lambda step, score: progress(step, {"val/score": score}))}
        )


WORKLOAD = Peer()
