"""Puts the results of an archive into a run directory, so that a sweep is resumed or extended from there.

Every conflict is found before the first file is written. Then each file is written whole: of a trial its record last,
and the plan after all trials. So a kill at any moment leaves no plan without its trials, and the next import
writes the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import StoreError
from orchestrator.store.archive.contents import Contents
from orchestrator.store.archive.members import POINTS
from orchestrator.store.kept_plans import plan_key
from orchestrator.store.keys import sweep_key, trial_key
from orchestrator.store.point_log import read_line
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import POINT_FILE, files_of

__all__ = ["Imported", "import_sweep"]

ELSEWHERE = "import into another --run-dir"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What an import has done."""

    trials: int
    """Number of trials in the archive."""
    new_trials: int
    """Number of those of which the run directory had no record."""
    files: int
    """Number of files that were written."""
    plan: bool
    """Whether the plan of the archive is now that of the sweep; False if the run directory had it or a later one."""


@dataclass(kw_only=True)
class Changes:
    """What a run directory lacks of an archive, and what stands in the way."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    """By key in the run directory what to write, in this order; None: the file of the archive with this name."""
    conflicts: list[str] = field(default_factory=list)
    """One line for each file that differs."""

    def add(self, key: str, content: bytes | None = None) -> None:
        """Write a file."""
        self.files[key] = content


def import_sweep(contents: Contents, store: RecordStore) -> Imported:
    """Write to a run directory what it lacks of an archive; nothing a second time.

    Raises StoreError if another driver holds the run directory, or if it has other records of the same trials or
    another plan of the sweep; nothing is written then.
    """
    with store.lock():
        known = store.attempt_keys(list(contents.attempts))
        changes = Changes()
        for member in contents.archive.manifest.members:
            if member.startswith("code/") and store.files.read(member) is None:
                changes.add(member)
        for trial_id in contents.attempts:
            add_trial(changes, contents, store, trial_id, known[trial_id])
        add_plans(changes, contents, store)
        if changes.conflicts:
            others = len(changes.conflicts) - 1
            more = f" ({others} more differ)" if others else ""
            raise StoreError(f"{store}/{changes.conflicts[0]}{more}; {ELSEWHERE}")
        for key, content in changes.files.items():
            whole = contents.archive.read(key) if content is None else content
            store.write_as_it_is(key, whole or b"")
    return Imported(
        trials=len(contents.attempts),
        new_trials=sum(not keys for keys in known.values()),
        files=len(changes.files),
        plan=sweep_key(contents.plan.name) in changes.files,
    )


def add_trial(changes: Changes, contents: Contents, store: RecordStore, trial_id: str, known: Sequence[str]) -> None:
    """What is lacking of a trial: its facts, curves, pictures and weights first, then its records.

    `known` are the keys of the records that the run directory has.
    """
    names = set(store.files.names(trial_key(trial_id)))
    if "trial.json" in names:
        store.trial_file(trial_id)  # raises if it is damaged; else it is of the same configuration, as the id says
    else:
        changes.add(trial_key(trial_id, "trial.json"))
    add_points(changes, contents, store, trial_id)
    present = {item.key: item.record for item in store.stored_attempts({trial_id: known})[trial_id]}
    records: list[str] = []
    named: dict[str, str] = {}
    for item in contents.attempts[trial_id]:
        if item.key not in present:
            records.append(item.key)
        elif present[item.key] != item.record:
            changes.conflicts.append(f"{item.key}: another record than that of the archive")
        named |= item.record.files
    add_files(changes, contents, store, trial_id, named)
    for key in records:
        changes.add(key)


def add_files(
    changes: Changes, contents: Contents, store: RecordStore, trial_id: str, named: Mapping[str, str]
) -> None:
    """What is lacking of pictures and weights; `named` are the digests in the records, by name of the file."""
    present = store.files.sizes(trial_key(trial_id))
    for name in contents.directory.files.sizes(trial_key(trial_id)):
        key = trial_key(trial_id, name)
        if name.endswith((".json", ".jsonl")):
            continue
        if name not in present or (name in named and store.files.read(key) != contents.archive.read(key)):
            changes.add(key)  # a file that its record names and that differs is damaged


def add_points(changes: Changes, contents: Contents, store: RecordStore, trial_id: str) -> None:
    """What is lacking of the curves of a trial: those of both begin alike, and one may be longer."""
    content = contents.archive.read(trial_key(trial_id, POINTS))
    names = files_of(POINT_FILE, store.files.names(trial_key(trial_id)))
    known = b"".join(store.files.read(trial_key(trial_id, name)) or b"" for name in names)
    if content is None or (names and known.startswith(content)):
        return
    if not content.startswith(known):
        changes.conflicts.append(f"{trial_key(trial_id, names[0])}: other points than those of the archive")
    elif set(names) <= {POINTS}:
        changes.add(trial_key(trial_id, POINTS))
    else:  # in an object store, where each file is a part
        rest = content.removeprefix(known)
        attempt = next(attempts_in(rest), 0)
        changes.add(trial_key(trial_id, f"points_{attempt:03d}_00001.jsonl"), rest)


def attempts_in(lines: bytes) -> Iterator[int]:
    """The attempt of each line of points that can be read."""
    for line in lines.splitlines(keepends=True):
        try:
            yield read_line(line).point.attempt
        except ValueError:
            continue


def add_plans(changes: Changes, contents: Contents, store: RecordStore) -> None:
    """What is lacking of the plans: those that the sweep has had, then the present one.

    A run directory with the plan of the archive among its earlier ones has extended it since, and keeps its own. One
    whose plan is among the earlier ones of the archive gets that of the archive.
    """
    name, plan = contents.plan.name, contents.plan
    current = store.sweep(name) if store.files.read(sweep_key(name)) is not None else None
    own = {number: store.kept_plan(name, number) for number in store.kept_numbers(name)}
    for kept in contents.kept:
        if kept.number not in own:
            changes.add(plan_key(name, kept.number))
        elif not own[kept.number].shows_the_same(kept):
            changes.conflicts.append(f"{plan_key(name, kept.number)}: another plan than that of the archive")
    if current is None:
        changes.add(sweep_key(name))
    elif current.shows_the_same(plan):
        return
    elif any(item.sweep.shows_the_same(current) for item in contents.kept):
        changes.add(sweep_key(name))
    elif not any(item.sweep.shows_the_same(plan) for item in own.values()):
        changes.conflicts.append(f"{sweep_key(name)}: another plan than that of the archive")
