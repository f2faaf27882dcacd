"""What is known of the trials that run: told by the driver, shown by the page, and never recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.workload.metric import Metric

__all__ = ["Curve", "RunningSweep", "TrialProgress"]

Curve = tuple[tuple[int, float], ...]
"""Steps with the value of a metric, ascending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialProgress:
    """One trial that runs."""

    label: str
    """Row and seed."""
    step: int = 0
    steps: int | None = None
    """None where the workload does not say."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The latest value of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningSweep:
    """A moment of a running sweep."""

    at: datetime
    """With a time zone."""
    watched: Metric
    """What is shown of a running trial besides its loss."""
    trials: tuple[TrialProgress, ...] = ()
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    """By metric and trial id, of the trials of this command, ended ones too."""
