"""A sweep from an archive: everything in it is verified before it is shown, and nothing is unpacked to a disk."""

from __future__ import annotations

from orchestrator.store.archive.contents import read_contents
from orchestrator.store.archive.reading import Archive
from reports.sources.loaded import LoadedSweep, as_planned
from reports.sources.run_directory import load_sweep

__all__ = ["load_archive"]


def load_archive(archive: Archive, plan: int | None = None) -> LoadedSweep:
    """The results in an open archive, with `plan` those of a kept plan. Raises StoreError, and DamagedError."""
    directory, name = read_contents(archive).directory, archive.manifest.sweep
    results = load_sweep(directory, name, exact=True, plan=plan)
    return LoadedSweep(results=results, directory=as_planned(directory, name, plan))
