"""Finds what a run directory does not need: trials of no sweep, and files that a finished trial does not use.

These functions only look; `RecordStore.clean` and `RecordStore.prune` delete.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from orchestrator.errors import StoreError
from orchestrator.machine.atomic_file import PARTIAL
from orchestrator.machine.sealed_json import unseal
from orchestrator.store.attempt_record import State
from orchestrator.store.checkpoint_sync import UPLOADED
from orchestrator.store.kept_plans import PLANS, plan_key
from orchestrator.store.keys import WORK, sweep_key, trial_key
from orchestrator.store.record_files import checking
from orchestrator.store.run_directory import RunDirectory

__all__ = ["KEEP", "Leftover", "foreign_folders", "forgettable_plans", "unneeded_files", "unreferenced_trials"]

KEEP = {"best": {"last.pt"}, "last": {"best.pt"}, "all": set[str]()}
"""The checkpoints to delete of a finished trial, by value of `keep_checkpoints`; previous.pt is always deleted."""

RECORD_FILE = re.compile(r"trial\.json|attempt_\d+\.json|(before_\d+_)?points(_\d+_\d+)?\.jsonl")
PARTIAL_FILE = re.compile(rf"(pictures/)?\..+\.[0-9a-f]+{re.escape(PARTIAL)}|(last|best)\.pt{re.escape(PARTIAL)}")
"""What a crash has left partly written: as `atomic_file` names it, or the trainer."""
TRIAL_FILE = re.compile(
    rf"{RECORD_FILE.pattern}|{PARTIAL_FILE.pattern}|images_\d+\.npz|(last|previous|best)\.pt|lock"
    r"|pictures/[^/]+\.png|pictures/compare_[^/]+\.jpg"
    rf"|{re.escape(UPLOADED)}|{WORK}/.+"
)
"""Every file that a trial writes, by its path in the trial's folder."""
TRIAL_ID = re.compile(r"[0-9a-f]{12}")

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
    future kinds of records count too; the files `forgotten` do not count. A folder is a trial's if a trial has written
    all that it holds. Raises StoreError for a sweep whose plan is missing, empty or damaged.
    """
    found = unreferenced_folders(directory, forgotten).items()
    return [Leftover(trial_id=name, size=sum(sizes.values())) for name, sizes in found if is_trial(name, sizes)]


def foreign_folders(directory: RunDirectory, forgotten: Collection[str] = ()) -> dict[str, list[str]]:
    """What lies among the trials, is no trial and stays: by its name, the files in it that no trial has written."""
    found = unreferenced_folders(directory, forgotten).items()
    return {
        name: sorted(file for file in sizes if not TRIAL_FILE.fullmatch(file))
        for name, sizes in found
        if not is_trial(name, sizes)
    }


def unreferenced_folders(directory: RunDirectory, forgotten: Collection[str]) -> dict[str, dict[str, int]]:
    """By name, the sizes of the files of each folder among the trials to which no sweep refers."""
    files = directory.files
    referenced = quoted_in_sweeps(directory, forgotten)
    names = sorted(name for name in files.names("trials") if name not in referenced)
    return {name: files.sizes(trial_key(name)) for name in names}


def is_trial(name: str, files: Collection[str]) -> bool:
    """Whether the folder `name` with these files, by their paths in it, is a trial's and holds nothing else."""
    if not files or not all(map(TRIAL_FILE.fullmatch, files)):
        return False
    return TRIAL_ID.fullmatch(name) is not None or any(map(RECORD_FILE.fullmatch, files))


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
        unneeded = {"previous.pt"} | {name for name in sizes if PARTIAL_FILE.fullmatch(name)}
        if {"last.pt", "best.pt"} <= sizes.keys():
            unneeded |= KEEP[keep_checkpoints]
        found += [Leftover(trial_id=trial_id, name=name, size=sizes[name]) for name in sorted(unneeded & sizes.keys())]
    return found
