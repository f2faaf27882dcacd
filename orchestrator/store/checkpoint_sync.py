"""Copies the checkpoints of a trial between the folder it works in and an object store.

With a run directory on a disk there is nothing to copy: a trial works in the run directory itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.machine.atomic_file import replace_file
from orchestrator.machine.json_text import parse_json
from orchestrator.store.backends.base import claim_scratch
from orchestrator.store.backends.local import stamp
from orchestrator.store.backends.object_store import ObjectFiles
from orchestrator.store.keys import trial_key
from orchestrator.store.run_directory import RunDirectory

__all__ = ["fetch_checkpoints", "upload_checkpoints"]

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"

UPLOADED = ".delivered.json"
"""In the folder a trial works in: the stamp, by name, of each file of which the store has a copy."""


def fetch_checkpoints(directory: RunDirectory, trial_id: str, workdir: Path) -> None:
    """Before training: copy the trial's checkpoints to `workdir`, over older ones from before it ran on another node.

    Raises StoreError.
    """
    files = directory.files
    if not isinstance(files, ObjectFiles):
        return
    claim_scratch(workdir)
    in_store, uploaded = files.sizes(trial_key(trial_id)), read_uploaded(workdir)
    for name in (PREVIOUS, BEST, LAST):
        if name in in_store and files.download(trial_key(trial_id, name), workdir / name):
            uploaded[name] = stamp(str(workdir / name))
            write_uploaded(workdir, uploaded)


def upload_checkpoints(directory: RunDirectory, trial_id: str, workdir: Path) -> None:
    """After the trainer wrote a checkpoint: copy what is new in `workdir` to the store. Raises StoreError.

    Each object is written whole. Before last.pt is replaced, the store copies it to previous.pt. That and best.pt are
    deleted once the trainer has deleted its own because the trial is finished, after its last.pt is in the store.
    """
    files = directory.files
    if not isinstance(files, ObjectFiles):
        return
    in_store, uploaded = files.sizes(trial_key(trial_id)), read_uploaded(workdir)
    keeps_previous = (workdir / PREVIOUS).exists()
    for name in (name for name in (BEST, LAST) if (workdir / name).exists()):
        current = stamp(str(workdir / name))
        if name in in_store and uploaded.get(name) == current:
            continue
        if name == LAST and keeps_previous:
            files.copy(trial_key(trial_id, LAST), trial_key(trial_id, PREVIOUS))
        files.upload(workdir / name, trial_key(trial_id, name))
        uploaded[name] = current
        write_uploaded(workdir, uploaded)
    if not keeps_previous and (workdir / LAST).exists():
        for name in (PREVIOUS, BEST):
            if name in in_store and not (workdir / name).exists():
                files.delete(trial_key(trial_id, name))


def read_uploaded(workdir: Path) -> dict[str, str]:
    """Stamps of the files of which the store has a copy; empty when unknown."""
    try:
        return dict(parse_json((workdir / UPLOADED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_uploaded(workdir: Path, uploaded: Mapping[str, str]) -> None:
    """Remember the stamps."""
    replace_file(workdir / UPLOADED, json.dumps(uploaded).encode(), durable=False)
