"""Finds what a run directory does not need: trials of no sweep, and files that a finished trial does not use.

These functions only look; `RecordStore.clean` and `RecordStore.prune` delete.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from orchestrator.errors import StoreError
from orchestrator.store.atomic_file import PARTIAL
from orchestrator.store.kept_plans import PLANS, plan_key
from orchestrator.store.record_files import checking
from orchestrator.store.records import State, sweep_key, trial_key
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sealed_json import unseal

__all__ = ["KEEP", "Leftover", "forgettable_plans", "unneeded_files", "unreferenced_trials"]

KEEP = {"best": {"last.pt"}, "last": {"best.pt"}, "all": set[str]()}
"""The checkpoints to delete of a finished trial, by value of `keep_checkpoints`; previous.pt is always deleted."""

QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
"""A text of a JSON file, also an empty one or one with escapes, so that every quote is read as what it is."""


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
        """Path below the run directory."""
        return trial_key(self.trial_id, self.name)


def unreferenced_trials(directory: RunDirectory, forgotten: Collection[str] = ()) -> list[Leftover]:
    """Folders of trials that no sweep of the run directory refers to, sorted by trial id.

    A reference is the trial's id in quotes anywhere in the JSON files of a sweep, its kept plans included, so that
    future kinds of records count too; the files `forgotten` do not count. Raises StoreError for a sweep whose plan is
    missing, empty or damaged.
    """
    files = directory.files
    referenced = quoted_in_sweeps(directory, forgotten)
    loose = sorted(name for name in files.names("trials") if name not in referenced)
    return [Leftover(trial_id=name, size=sum(files.sizes(trial_key(name)).values())) for name in loose]


def forgettable_plans(directory: RunDirectory, names: Iterable[str]) -> list[str]:
    """Keys of the kept plans of the sweeps `names`, each without the newest one, if that is its current plan."""
    keys = []
    for name in names:
        numbers = directory.kept_numbers(name)
        if numbers and directory.kept_plan(name, numbers[-1]).sweep.trial_ids == directory.sweep(name).trial_ids:
            numbers.pop()
        keys += [plan_key(name, number) for number in numbers]
    return keys


def quoted_in_sweeps(directory: RunDirectory, forgotten: Collection[str] = ()) -> set[str]:
    """All texts in quotes in the JSON files of the sweeps and of their kept plans, but for the files `forgotten`."""
    files = directory.files
    sweeps = sorted(files.names("sweeps"))
    folders = [sweep_key(name, folder).rstrip("/") for name in sweeps for folder in ("", PLANS)]
    needed = {sweep_key(name) for name in sweeps}
    found = {
        f"{folder}/{name}"
        for folder, names in zip(folders, files.map(files.names, folders), strict=True)
        for name in names
        if name.endswith((".json", ".jsonl")) and not name.startswith(".")
    }
    keys = sorted((needed | found).difference(forgotten))
    words: set[str] = set()
    for key, content in zip(keys, files.map(files.read, keys), strict=True):
        if not content:
            raise StoreError(
                f"{directory}/{key}: missing or empty, so it is unknown which trials this sweep refers to; "
                "plan the sweep again, or delete its folder"
            )
        if key.endswith(".json"):
            with checking(f"{directory}/{key}", "file", "restore it from a copy, or plan the sweep again"):
                unseal(content)
        words.update(word.decode(errors="replace") for word in QUOTED.findall(content))
    return words


def unneeded_files(directory: RunDirectory, trial_ids: Iterable[str], keep_checkpoints: str = "all") -> list[Leftover]:
    """Files that the finished ones of these trials no longer need.

    These are previous.pt and what crashes left partly written, last.pt if `keep_checkpoints` is `best` and there is a
    best.pt, and best.pt if it is `last` and there is a last.pt. Raises StoreError for another value.
    """
    if keep_checkpoints not in KEEP:
        raise StoreError(f"keep_checkpoints: {keep_checkpoints!r}: choose {', '.join(KEEP)}")
    found = []
    for trial_id, record in directory.outcomes(trial_ids).items():
        if record.state is not State.DONE:
            continue
        sizes = directory.files.sizes(trial_key(trial_id))
        unneeded = {"previous.pt"} | {name for name in sizes if name.endswith(PARTIAL)}
        if {"last.pt", "best.pt"} <= sizes.keys():
            unneeded |= KEEP[keep_checkpoints]
        found += [Leftover(trial_id=trial_id, name=name, size=sizes[name]) for name in sorted(unneeded & sizes.keys())]
    return found
