"""Sweeps and their results from a run directory."""

from __future__ import annotations

from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults, find_name

__all__ = ["load_sweep"]


def load_sweep(directory: RunDirectory, name: str, *, exact: bool = False, plan: int | None = None) -> SweepResults:
    """The results of sweep `name`; unless `exact`, of the only recorded `name@...` or `name+...`.

    With `plan`, those of a kept plan as its table was then. Raises StoreError when there is no such sweep or plan,
    several match, or a record is damaged.
    """
    found = name if exact else find_name(name, directory.sweep_names(), str(directory))
    return directory.results(found) if plan is None else directory.kept_results(directory.kept_plan(found, plan))
