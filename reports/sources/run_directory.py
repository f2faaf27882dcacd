"""Reads a sweep and its outcomes from a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.store.records import AttemptRecord, SweepRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["load_sweep", "recorded_name"]


def load_sweep(run_dir: Path | str, name: str) -> tuple[SweepRecord, Mapping[str, AttemptRecord]]:
    """What sweep `name` promised, and by trial id the attempt that counts.

    Raises StoreError when there is no such sweep or a record is damaged.
    """
    sweep = RunDirectory(run_dir).sweep(name)
    return sweep, RunDirectory(run_dir).outcomes((cell.trial_id for cell in sweep.cells), sweep=name)


def recorded_name(run_dir: Path | str, name: str) -> str:
    """`name`, or the one recorded `name@<recipe>` where only that exists.

    So the report of a sweep that was run with another recipe needs no `--recipe`. Raises StoreError, naming them,
    when there are several.
    """
    names = RunDirectory(run_dir).sweep_names()
    if name in names:
        return name
    variants = [found for found in names if found.startswith(f"{name}@")]
    if len(variants) > 1:
        raise StoreError(f"{run_dir}: several sweeps of {name!r}: {', '.join(variants)}. Choose one with --recipe")
    return variants[0] if variants else name
