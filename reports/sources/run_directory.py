"""Sweeps and their results from a run directory."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.errors import StoreError
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults

__all__ = ["find_name", "load_sweep"]


def load_sweep(directory: RunDirectory, name: str, *, exact: bool = False, plan: int | None = None) -> SweepResults:
    """The results of sweep `name`; unless `exact`, of `name@<recipe>` if that is the only recorded one.

    With `plan`, those of a kept plan as its table was then. Raises StoreError when there is no such sweep or plan,
    several match, or a record is damaged.
    """
    found = name if exact else find_name(name, directory.sweep_names(), str(directory))
    return directory.results(found) if plan is None else directory.kept_results(directory.kept_plan(found, plan))


def find_name(name: str, recorded: Iterable[str], place: str) -> str:
    """`name` if recorded, else the only `name@<recipe>`, else `name`. Raises StoreError, naming `place`, if several."""
    known = sorted(recorded)
    matches = [name] if name in known else [found for found in known if found.startswith(f"{name}@")]
    if len(matches) > 1:
        raise StoreError(f"{place}: several sweeps of {name!r}: {', '.join(matches)}. Choose one with --recipe")
    return matches[0] if matches else name
