"""Delivery: checkpoints and pictures of a trial, between the folder it works in and an object store.

With a run directory that the system sees as a folder there is nothing to do: a trial works in it, and so do these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.store.backends import open_files
from orchestrator.store.backends.local import stamp
from orchestrator.store.backends.object_store import ObjectFiles
from orchestrator.store.records import trial_key
from orchestrator.store.run_directory import RunDirectory

__all__ = ["deliver_checkpoints", "fetch_checkpoints", "fetch_pictures"]

LAST, PREVIOUS, BEST, PICTURES = "last.pt", "previous.pt", "best.pt", "pictures"

DELIVERED = ".delivered.json"
"""In the folder a trial works in: by name the stamp of each file that the store holds as it is here."""


def fetch_checkpoints(run_dir: Path | str, trial_id: str, workdir: Path) -> None:
    """Before training: bring the trial's checkpoints to `workdir`; where the store has some they replace what is there.

    That may be older, from before the trial went on elsewhere. Raises StoreError.
    """
    files = open_files(run_dir)
    if not isinstance(files, ObjectFiles):
        return
    there, delivered = files.sizes(trial_key(trial_id)), read_delivered(workdir)
    for name in (PREVIOUS, BEST, LAST):
        if name in there and files.download(trial_key(trial_id, name), workdir / name):
            delivered[name] = stamp(str(workdir / name))
            write_delivered(workdir, delivered)


def deliver_checkpoints(run_dir: Path | str, trial_id: str, workdir: Path) -> None:
    """After the trainer wrote: bring to the store what is new in `workdir`.

    Each object is put whole. While last.pt is replaced the one before is kept as previous.pt, by a copy within the
    store, until the trainer has no previous.pt any more: the trial is finished. Raises StoreError.
    """
    files = open_files(run_dir)
    if not isinstance(files, ObjectFiles):
        return
    there, delivered = files.sizes(trial_key(trial_id)), read_delivered(workdir)
    keeps_previous = (workdir / PREVIOUS).exists()
    for name in names_here(workdir):
        mark = stamp(str(workdir / name))
        if name in there and delivered.get(name) == mark:
            continue
        if name == LAST and keeps_previous:
            files.copy(trial_key(trial_id, LAST), trial_key(trial_id, PREVIOUS))
        files.upload(workdir / name, trial_key(trial_id, name))
        delivered[name] = mark
        write_delivered(workdir, delivered)
    if PREVIOUS in there and not keeps_previous and (workdir / LAST).exists():
        files.delete(trial_key(trial_id, PREVIOUS))


def fetch_pictures(run_dir: Path | str, trial_id: str) -> list[Path]:
    """The pictures of a finished trial as files of this machine, sorted; for those who show or copy them.

    Raises StoreError.
    """
    folder, files = RunDirectory(run_dir).trial_folder(trial_id) / PICTURES, open_files(run_dir)
    if isinstance(files, ObjectFiles):
        for name in files.names(trial_key(trial_id, PICTURES)):
            files.download(trial_key(trial_id, f"{PICTURES}/{name}"), folder / name)
    return sorted(folder.glob("*.png"))


def names_here(workdir: Path) -> list[str]:
    """What is worth delivering, by its path below `workdir`."""
    pictures = [f"{PICTURES}/{path.name}" for path in sorted((workdir / PICTURES).glob("*.png"))]
    return [name for name in (BEST, LAST, *pictures) if (workdir / name).exists()]


def read_delivered(workdir: Path) -> dict[str, str]:
    """What the store holds as it is here; nothing where nobody knows."""
    try:
        return dict(json.loads((workdir / DELIVERED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_delivered(workdir: Path, delivered: Mapping[str, str]) -> None:
    """Note what the store holds."""
    (workdir / DELIVERED).write_text(json.dumps(delivered), encoding="utf-8")
