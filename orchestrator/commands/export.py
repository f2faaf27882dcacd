"""export: writes a sweep to an archive and says what travels."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.machine.first_few import first_few
from orchestrator.machine.text_table import Line, Part
from orchestrator.store.archive.exporting import Exported, export_sweep
from orchestrator.store.archive.members import SUFFIX, names_archive
from orchestrator.store.run_directory import RunDirectory

__all__ = ["export"]

HOSTS_NAMED = 3


def export(directory: RunDirectory, name: str, path: Path, *, weights: bool) -> list[Part]:
    """Write the sweep `name` to `path`; returns what the terminal shows. Raises StoreError as `export_sweep`."""
    if not names_archive(path):
        raise StoreError(f"{path}: an archive is a zip file; give it a name that ends with {SUFFIX}")
    exported = export_sweep(directory, name, path, weights=weights)
    return describe(exported, name, path, weights=weights)


def describe(exported: Exported, name: str, path: Path, *, weights: bool) -> list[Part]:
    """What is in an archive, the digest that is published with it, and what its records say of machines."""
    earlier = f", {counted(exported.earlier, 'earlier plan')}" if exported.earlier else ""
    held = f"{exported.trials} of {counted(exported.planned, 'trial')} done{earlier}"
    checkpoints = counted(exported.weights, "checkpoint") if weights else "no checkpoints"
    parts: list[Part] = [
        Line(f"{path}: {name}, {held}, {checkpoints}, {exported.size / 1e6:.1f} MB", "bold"),
        Line("publish its SHA-256 with it, which shows that nobody has changed it:", command=exported.sha256),
    ]
    if exported.hosts:
        names = first_few(exported.hosts, HOSTS_NAMED)
        parts.append(f"its records name the machine{'s' * (len(exported.hosts) > 1)} {names}")
    if exported.tracebacks:
        parts.append(f"{counted(exported.tracebacks, 'traceback')} in it may name folders of yours")
    return parts


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`, `no trials`."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
