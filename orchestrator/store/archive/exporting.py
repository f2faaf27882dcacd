"""Writes the results of a sweep to an archive, and opens it as its reader will before it gets its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.atomic_file import partial_file
from orchestrator.machine.file_content import content_digest
from orchestrator.machine.file_systems import flush_folder
from orchestrator.store.archive.contents import Contents, read_contents
from orchestrator.store.archive.members import CODE, POINTS, WEIGHTS
from orchestrator.store.archive.portable import portable_file
from orchestrator.store.archive.reading import is_archive, opened
from orchestrator.store.archive.writing import write_archive
from orchestrator.store.attempt_record import State
from orchestrator.store.disk_errors import disk_remedy
from orchestrator.store.image_counts import PICTURE, PICTURE_FOLDER
from orchestrator.store.kept_plans import plan_key
from orchestrator.store.keys import code_key, sweep_key, trial_key
from orchestrator.store.point_log import read_line
from orchestrator.store.record_files import StoredAttempt, checking
from orchestrator.store.run_directory import POINT_FILE, RunDirectory, files_of
from orchestrator.workload.loading import BUILT_IN
from orchestrator.workload.source_digest import codes_in

__all__ = ["Exported", "export_sweep"]

ReadFile = Callable[[], bytes]
"""Reads the content of a member."""
REMEDY = "`python -m orchestrator verify` lists what is damaged, and the sweep's command trains it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What an archive holds that was just written."""

    size: int
    """Bytes."""
    sha256: str
    """Of the file, 64 hexadecimal digits: whoever knows them from elsewhere knows that nobody has changed it."""
    trials: int
    """Number of trials of the plan with a result."""
    planned: int
    """Number of trials of the plan."""
    earlier: int
    """Number of plans besides the present one."""
    weights: int
    """Number of checkpoints."""
    hosts: tuple[str, ...]
    """Machines that the records name."""
    tracebacks: int
    """Number of attempts whose traceback names folders of a machine."""


def export_sweep(directory: RunDirectory, name: str, path: Path, *, weights: bool = False) -> Exported:
    """Write the sweep `name` to the archive `path`, over an earlier archive; `weights`: with checkpoints.

    What has not ended does not travel, so a sweep may run meanwhile. Raises StoreError where there is no such sweep,
    a record is damaged, or `path` is a file of another program or cannot be written.
    """
    require_free(path)
    files = sweep_files(directory, name, weights=weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as whole:
            with whole.open("xb") as file:
                write_archive(file, name, ((key, files[key]()) for key in sorted(files)))
                file.flush()
                os.fsync(file.fileno())
            with opened(whole, str(directory), REMEDY) as archive:
                exported = summary(read_contents(archive), whole)
            whole.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        remedy = disk_remedy(error, path) or "name another file"
        raise StoreError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error
    return exported


def require_free(path: Path) -> None:
    """Raise StoreError for a file that is not an archive of ours, which is not replaced."""
    if os.path.lexists(path) and not is_archive(path):
        raise StoreError(f"{path}: there is a file that is no archive of this program; remove it, or name another file")


def summary(contents: Contents, path: Path) -> Exported:
    """What the archive at `path` holds."""
    records = [item.record for stored in contents.attempts.values() for item in stored]
    return Exported(
        size=path.stat().st_size,
        sha256=content_digest(path),
        trials=contents.done,
        planned=len(contents.plan.trial_ids),
        earlier=sum(not item.sweep.shows_the_same(contents.plan) for item in contents.kept),
        weights=sum(name.endswith(WEIGHTS) for name in contents.archive.manifest.members),
        hosts=tuple(sorted({host for record in records if (host := record.environment.get("host", ""))})),
        tracebacks=sum(record.error is not None and bool(record.error.traceback) for record in records),
    )


def sweep_files(directory: RunDirectory, name: str, *, weights: bool) -> dict[str, ReadFile]:
    """By name of a member, what reads its content. Raises StoreError."""
    plan = directory.sweep(name)
    trial_ids = dict.fromkeys(plan.trial_ids)
    plans = [sweep_key(name)]
    for kept in directory.kept_plans(name):
        plans.append(plan_key(name, kept.number))
        trial_ids |= dict.fromkeys(kept.sweep.trial_ids)
    files: dict[str, ReadFile] = {key: partial(read_plan, directory, key) for key in plans}
    codes: set[str] = set()
    for trial_id, attempts in directory.stored_attempts(directory.attempt_keys(list(trial_ids))).items():
        if attempts:
            files |= trial_files(directory, trial_id, attempts, weights=weights and plan.workload in ("", BUILT_IN))
            codes.update(digest for item in attempts for digest in codes_in(item.record.code))
    for digest in filter(CODE.fullmatch, codes):
        if directory.files.read(code_key(digest)) is not None:
            files[code_key(digest)] = partial(read, directory, code_key(digest))
    return files


def trial_files(
    directory: RunDirectory, trial_id: str, attempts: Sequence[StoredAttempt], *, weights: bool
) -> dict[str, ReadFile]:
    """The members of a trial with ended attempts, oldest first."""
    present = set(directory.files.names(trial_key(trial_id)))
    names = ["trial.json", *(name for item in attempts for name in item.record.files)]
    pictures = directory.files.names(trial_key(trial_id, PICTURE_FOLDER)) if PICTURE_FOLDER in present else []
    names += [f"{PICTURE_FOLDER}/{name}" for name in pictures if PICTURE.fullmatch(name)]
    if weights and any(item.record.state is State.DONE for item in attempts):
        names += [name for name in WEIGHTS if name in present][:1]
    keys = [*(item.key for item in attempts), *(trial_key(trial_id, name) for name in names)]
    files: dict[str, ReadFile] = {key: partial(read, directory, key) for key in keys}
    if files_of(POINT_FILE, present):
        last = attempts[-1].record.attempt
        files[trial_key(trial_id, POINTS)] = partial(points_of, directory, trial_id, last)
    return files


def read(directory: RunDirectory, key: str) -> bytes:
    """Content of a file. Raises DamagedError for a missing one."""
    content = directory.files.read(key)
    if content is None:
        raise DamagedError(f"{directory}/{key}: missing; {REMEDY}")
    return content


def read_plan(directory: RunDirectory, key: str) -> bytes:
    """Content of the file of a plan, without folders of this machine."""
    with checking(f"{directory}/{key}", "plan", REMEDY):
        return portable_file(read(directory, key))


def points_of(directory: RunDirectory, trial_id: str, last: int) -> bytes:
    """The lines of a trial's curves, up to those of attempt `last`, in one file."""
    names = files_of(POINT_FILE, directory.files.names(trial_key(trial_id)))
    content = b"".join(read(directory, trial_key(trial_id, name)) for name in names)
    lines = content.splitlines(keepends=True)
    end = len(lines)
    for place in reversed(range(len(lines))):  # an attempt that runs has the last lines
        try:
            attempt = read_line(lines[place]).point.attempt
        except ValueError:  # a crash has cut it short
            continue
        if attempt <= last:
            break
        end = place
    return b"".join(lines[:end])
