"""What a sweep may take, spend, try again and stop early: the shared blocks of a search space, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Budget", "Processes", "Resources", "Retries", "Scheduler", "SchedulerKind", "Until"]

Processes = Literal["auto", "warm", "fresh"]
SchedulerKind = Literal["asha", "median", "hyperband"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What one trial takes of a machine."""

    cpus: float = 1
    """CPU cores."""
    gpus: float | Literal["auto"] = "auto"
    """GPUs: a fraction up to 1, or a whole number; `auto`: what the trial's shape needs, where there is a GPU."""
    processes: Processes = "auto"
    """`warm`: a process serves one trial after another; `fresh`: each has its own; `auto`: fresh on a GPU."""
    ranks: int = 1
    """Processes of one trial that train together: one per GPU where it takes several, else on the CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """When a sweep stops, cleanly, with trials left; None: never."""

    gpu_hours: float | None = None
    """Hours of GPUs, summed over the trials of this sweep."""
    wall_hours: float | None = None
    """Hours since the command was started."""
    trial_hours: float | None = None
    """Hours of one attempt at one trial; beyond them it is timed out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How often a trial is tried again, by the class of its failure; what is not named is never tried again."""

    lost: int = 3
    """Its process or node died."""
    out_of_memory: int = 3
    """The GPU was full; each time with a larger share of it."""
    timed_out: int = 0
    """It took longer than `Budget.trial_hours`."""
    back_off_seconds: float = 5.0
    """Wait before the first new attempt; each further one waits twice as long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheduler:
    """Which trials are stopped before their last step."""

    kind: SchedulerKind
    grace_fraction: float = 0.25
    """Share of its steps that every trial runs; ends no earlier than the contrast warm-up of any trial."""
    reduction_factor: int = 3
    """One in so many goes on from a rung to the next (`asha`, `hyperband`)."""
    startup_trials: int = 5
    """Trials that run to their end before any is stopped (`median`)."""
    origin: str = field(default="", compare=False)
    """File and line of the block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Until:
    """How many seeds a row gets, numbered from 0, until it is told apart from the baseline."""

    first: int
    """At least."""
    last: int
    """At most."""
