"""LoadedSweep: the results of a sweep, with the place of the files behind them."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.store.run_directory import KeptDirectory, RunDirectory
from orchestrator.store.sweep_results import SweepResults

__all__ = ["LoadedSweep", "as_planned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedSweep:
    """Of a run directory, or of an archive as long as it is open."""

    results: SweepResults
    directory: RunDirectory


def as_planned(directory: RunDirectory, name: str, plan: int | None) -> RunDirectory:
    """The run directory as kept plan number `plan` of the sweep `name` showed it; itself for the present plan."""
    if plan is None:
        return directory
    return KeptDirectory(directory.location, directory.kept_plan(name, plan), directory.files)
