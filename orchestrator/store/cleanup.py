"""What a run directory could do without: trials of no sweep, and files of no use to a finished trial.

Both are pure looks; `RecordStore.clean` and `RecordStore.prune` delete what they name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, open_files
from orchestrator.store.backends.local import PARTIAL
from orchestrator.store.records import State, sweep_key, trial_key
from orchestrator.store.run_directory import RunDirectory

__all__ = ["KEEP", "Leftover", "superfluous", "unreferenced"]

KEEP = {"best": {"last.pt"}, "last": {"best.pt"}, "all": set[str]()}
"""By what `keep_checkpoints` keeps of a finished trial: the checkpoints that may go; previous.pt may always."""

QUOTED = re.compile(rb'"([^"\\]+)"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A trial's folder, or one file in it."""

    trial_id: str
    name: str = ""
    """Empty for the whole folder."""
    size: int
    """Bytes."""

    @property
    def key(self) -> str:
        """Where it lies below the run directory."""
        return trial_key(self.trial_id, self.name)


def unreferenced(run_dir: Path | str) -> list[Leftover]:
    """Folders of trials that no sweep of the run directory mentions, by trial id, with their sizes.

    A mention is the trial's id in quotes anywhere in a sweep's JSON files, so nothing that some later kind of sweep
    keeps there can be taken for rubbish. Raises StoreError for a sweep whose promise is missing or empty.
    """
    files = open_files(run_dir)
    known = mentioned(files)
    loose = sorted(name for name in files.names("trials") if name not in known)
    return [Leftover(trial_id=name, size=sum(files.sizes(trial_key(name)).values())) for name in loose]


def mentioned(files: Files) -> set[str]:
    """Whatever stands in quotes in the JSON files of the sweeps."""
    sweeps = sorted(files.names("sweeps"))
    listed = files.names_all([sweep_key(name, "").rstrip("/") for name in sweeps])
    keys = [
        sweep_key(sweep, name)
        for sweep, names in zip(sweeps, listed, strict=True)
        for name in {"sweep.json", *names}
        if name.endswith((".json", ".jsonl"))
    ]
    words: set[str] = set()
    for key, content in zip(keys, files.read_all(keys), strict=True):
        if not content:
            raise StoreError(
                f"{files.name}/{key}: missing or empty, so it is unknown which trials this sweep refers to; "
                "plan the sweep again, or delete its folder"
            )
        words.update(word.decode(errors="replace") for word in QUOTED.findall(content))
    return words


def superfluous(run_dir: Path | str, trial_ids: Iterable[str], keep_checkpoints: str = "all") -> list[Leftover]:
    """Files that the finished ones of these trials need no longer, with their sizes.

    previous.pt and what crashes left half written; last.pt if `keep_checkpoints` is `best` and there is a best.pt;
    best.pt if it is `last` and there is a last.pt. Raises StoreError for another word.
    """
    if keep_checkpoints not in KEEP:
        raise StoreError(f"keep_checkpoints: {keep_checkpoints!r}: choose {', '.join(KEEP)}")
    files = open_files(run_dir)
    found = []
    for trial_id, record in RunDirectory(run_dir).outcomes(trial_ids).items():
        if record.state is not State.DONE:
            continue
        sizes = files.sizes(trial_key(trial_id))
        useless = {"previous.pt"} | {name for name in sizes if name.endswith(PARTIAL)}
        if {"last.pt", "best.pt"} <= sizes.keys():
            useless |= KEEP[keep_checkpoints]
        found += [Leftover(trial_id=trial_id, name=name, size=sizes[name]) for name in sorted(useless & sizes.keys())]
    return found
