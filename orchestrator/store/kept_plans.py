"""KeptPlan: a plan that a sweep has had, with the attempts that its table showed, so that the table can be rebuilt.

    <run_dir>/sweeps/<sweep>/plans/001.json     one file per plan, never changed

A command keeps its plan when it ends, and at its start the plan that it replaces. A plan whose table would be that of
the newest kept one is not kept again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from orchestrator.store.keys import sweep_key
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["PLANS", "KeptPlan", "plan_key", "plan_numbers"]

PLANS = "plans"
"""Folder of the kept plans, beside sweep.json."""
PLAN_FILE = re.compile(r"(\d{3,})\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptPlan:
    """A plan as the command that ended with it left it."""

    number: int
    """1 for the first plan of its sweep."""
    kept_at: float
    """Seconds since the epoch."""
    sweep: SweepRecord
    attempts: Mapping[str, int]
    """By trial id the attempt that counted, of each trial with an ended attempt."""
    begun: Mapping[str, int] = field(default_factory=dict)
    """By trial id the last attempt with points, of each trial that was not finished."""
    done: int
    """Number of trials that needed no further attempt."""
    verified: bool = True
    """Whether the plan had a digest when it was kept."""

    def shows_the_same(self, other: KeptPlan) -> bool:
        """Whether both give the same table, whatever command line and folders led to it."""
        if not self.sweep.shows_the_same(other.sweep):
            return False
        return (self.attempts, self.begun, self.verified) == (other.attempts, other.begun, other.verified)

    def last_attempt(self, trial_id: str) -> int:
        """The last attempt whose points the figures showed; 0 for a trial that had not started."""
        return max(self.attempts.get(trial_id, 0), self.begun.get(trial_id, 0))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "number": self.number,
            "kept_at": self.kept_at,
            "done": self.done,
            "verified": self.verified,
            "attempts": dict(self.attempts),
            "begun": dict(self.begun),
            "sweep": self.sweep.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`. Raises ValueError for anything else."""
        try:
            return cls(**{**values, "sweep": SweepRecord.from_json(values["sweep"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


def plan_key(name: str, number: int) -> str:
    """File of a kept plan of the sweep `name`, below the run directory."""
    return sweep_key(name, f"{PLANS}/{number:03d}.json")


def plan_numbers(names: Iterable[str]) -> list[int]:
    """Numbers of the kept plans among file names, oldest first."""
    return sorted(int(match[1]) for match in map(PLAN_FILE.fullmatch, names) if match)
