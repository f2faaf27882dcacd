"""Backends of a run directory: a local path, a shared mount, or an object store (`s3://bucket/prefix`)."""

from __future__ import annotations

from pathlib import Path

from orchestrator.store.backends.base import Files, local_folder, location
from orchestrator.store.backends.local import LocalFiles

__all__ = ["Files", "LocalFiles", "local_folder", "location", "open_files"]


def open_files(run_dir: Path | str) -> Files:
    """The files of `run_dir`, a path or a URL that fsspec knows, also a `Path` made from a URL.

    Raises StoreError for a URL whose backend is unknown or not installed. Nothing is read or written.
    """
    address = location(run_dir)
    if "://" not in address:
        return LocalFiles(address)
    from orchestrator.store.backends.object_store import ObjectFiles

    return ObjectFiles(address)
