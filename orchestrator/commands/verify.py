"""verify: reads the files of a run directory again and names every one that is not what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO

from PIL import Image

from orchestrator.errors import DamagedError, StoreError
from orchestrator.machine.first_few import first_lines
from orchestrator.machine.sealed_json import unseal
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.planning.plan import CACHE
from orchestrator.store.backends import LocalFiles
from orchestrator.store.git_state import CodeState
from orchestrator.store.kept_plans import plan_key
from orchestrator.store.keys import sweep_key, trial_key
from orchestrator.store.parquet_cache import cache_state
from orchestrator.store.point_log import read_line
from orchestrator.store.run_directory import POINT_FILE, RunDirectory, files_of
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.trial_identity import require_identity
from orchestrator.workload.loading import BUILT_IN, built_in
from orchestrator.workload.local_cache import LocalCache

__all__ = ["Verification", "describe", "verify", "verify_local_cache"]

MOST_DAMAGED = 10
"""Damaged files that are named without `--all`."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """Files of one kind."""

    verified: int = 0
    unverified: int = 0
    """Without a digest, so that nobody can tell whether they changed; version 0.1 wrote such."""


@dataclass(kw_only=True)
class Verification:
    """What was read, by kind of file, and what is damaged, one line each."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def add(self, kind: str, *, verified: bool) -> None:
        """Count an intact file."""
        tally = self.tallies.setdefault(kind, Tally())
        tally.verified += verified
        tally.unverified += not verified

    @contextmanager
    def file(self, key: str) -> Iterator[None]:
        """Name the file `key` as damaged when the body finds that it is; the body counts it otherwise."""
        try:
            yield
        except StoreError as error:
            self.damaged.append(str(error))
        except (OSError, ValueError) as error:
            self.damaged.append(f"{key}: {error}")


def verify(directory: RunDirectory, names: Iterable[str], *, everything: bool, deep: bool) -> Verification:
    """Read the plans of the sweeps `names` and all files of their trials.

    `everything`: also trials that no sweep refers to, caches and saved code. `deep`: also checkpoints and pictures.
    Raises StoreError when the directory cannot be read.
    """
    found = Verification()
    trials = dict.fromkeys(sorted(directory.files.names("trials")) if everything else ())
    seeds: dict[str, int] = {}
    foreign: set[str] = set()  # trials of other workloads, whose files only they can read
    for name in names:
        for plan in read_plans(directory, name, found):
            trials |= dict.fromkeys(plan.trial_ids)
            seeds |= {run.trial_id: run.seed for run in plan.cells}
            foreign.update(plan.trial_ids if plan.workload not in ("", BUILT_IN) else ())
        verify_cache(directory, name, found)
    for trial_id in trials:
        facts = verify_trial(directory, trial_id, seeds.get(trial_id), found)
        if deep:
            is_foreign = trial_id in foreign or "workload" in facts
            verify_artifacts(directory, trial_id, {} if is_foreign else built_in().extras.verify_checkpoint, found)
    if everything:
        verify_others(directory, found)
    return found


def read_plans(directory: RunDirectory, name: str, found: Verification) -> Iterator[SweepRecord]:
    """The plan of a sweep and those it had before."""
    with found.file(sweep_key(name)):
        plan = directory.plan_file(name)
        found.add("plans", verified=plan.verified)
        yield plan.record
    for number in directory.kept_numbers(name):
        with found.file(plan_key(name, number)):
            kept = directory.kept_plan(name, number)
            found.add("plans", verified=True)
            yield kept.sweep


def verify_cache(directory: RunDirectory, name: str, found: Verification) -> None:
    """The Parquet cache of a sweep."""
    key = sweep_key(name, "records.parquet")
    with found.file(key):
        content = directory.files.read(key)
        if content is not None and cache_state(content):
            found.add("caches", verified=True)


def verify_trial(directory: RunDirectory, trial_id: str, seed: int | None, found: Verification) -> Mapping[str, Any]:
    """The JSON files of a trial; `seed` is that of its planned run. Returns what its id is a function of, if known."""
    names = directory.files.names(trial_key(trial_id))
    facts: Mapping[str, Any] = {}
    if not names:
        return facts
    with found.file(trial_key(trial_id, "trial.json")):
        if "trial.json" not in names:
            raise ValueError("missing, so it is unknown what the trial computed")
        trial = directory.trial_file(trial_id)
        require_identity(trial.facts, trial_id, seed)
        facts = trial.facts
        found.add("trial files", verified=trial.verified)
    for stored in directory.stored_attempts(directory.attempt_keys([trial_id]))[trial_id]:
        with found.file(stored.key):
            if stored.damaged and stored.record.error is not None:
                raise DamagedError(stored.record.error.message)
            if facts and stored.record.environment.get("data", facts.get("data")) != facts.get("data"):
                raise ValueError("its data are not those of its trial")
            found.add("records", verified=stored.verified)
        for file, digest in stored.record.files.items():
            with found.file(trial_key(trial_id, file)):
                content = directory.files.read(trial_key(trial_id, file)) if file in names else None
                if content is None or hashlib.sha256(content).hexdigest() != digest:
                    raise ValueError("its content does not match the digest in its record" if content else "missing")
                found.add("other files of records", verified=True)
    for name in files_of(POINT_FILE, names):
        verify_points(directory, trial_key(trial_id, name), found)
    return facts


def verify_points(directory: RunDirectory, key: str, found: Verification) -> None:
    """The lines of a trial's curves; one that a crash cut short at the end of the file is not damaged."""
    with found.file(key):
        lines = (directory.files.read(key) or b"").splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                continue
            with found.file(f"{key}:{number}"):
                found.add("points", verified=read_line(line).verified)


def verify_artifacts(
    directory: RunDirectory, trial_id: str, checks: Mapping[str, Callable[[BinaryIO], bool]], found: Verification
) -> None:
    """The checkpoints of a trial, with `Extras.verify_checkpoint` of its workload, and its pictures."""
    for name in directory.files.names(trial_key(trial_id)):
        key = trial_key(trial_id, name)
        if name in checks:
            with found.file(key), opened(directory, key) as file:
                found.add("checkpoints", verified=checks[name](file))
    for name in directory.files.names(trial_key(trial_id, "pictures")):
        key = trial_key(trial_id, f"pictures/{name}")
        if name.endswith(".png"):
            with found.file(key):
                verify_picture(directory.files.read(key) or b"")
                found.add("pictures", verified=True)


def opened(directory: RunDirectory, key: str) -> BinaryIO:
    """A file of the run directory for reading. Raises ValueError for a pipe or a folder."""
    if not isinstance(directory.files, LocalFiles):
        return BytesIO(directory.files.read(key) or b"")
    path = directory.local_folder / key
    if not path.is_file():
        raise ValueError("not a file")
    return path.open("rb")


def verify_picture(content: bytes) -> None:
    """Raise ValueError unless a PNG file matches its own checksums."""
    try:
        with Image.open(BytesIO(content)) as image:
            image.verify()
    except (OSError, SyntaxError) as error:
        raise ValueError(f"damaged picture ({error})") from error


def verify_others(directory: RunDirectory, found: Verification) -> None:
    """Caches of the whole run directory, and the uncommitted changes that records refer to."""
    for folder, kind in ((CACHE, "caches"), ("code", "code")):
        for name in sorted(directory.files.names(folder)):
            with found.file(f"{folder}/{name}"):
                if not name.endswith((".json", ".patch")):
                    continue
                if (content := directory.files.read(f"{folder}/{name}")) is not None:
                    check = verify_patch if name.endswith(".patch") else verify_json
                    found.add(kind, verified=check(name, content))


def verify_json(_name: str, content: bytes) -> bool:
    """Whether a JSON file has a digest. Raises ValueError for a damaged one."""
    return unseal(content).verified


def verify_patch(name: str, content: bytes) -> bool:
    """Raise ValueError unless saved changes have the digest that is their name."""
    if CodeState(diff=content.removesuffix(b"\n").decode(errors="surrogateescape")).digest != name.removesuffix(
        ".patch"
    ):
        raise ValueError("its content does not match its name")
    return True


def verify_local_cache(cache: LocalCache, found: Verification) -> None:
    """What a workload keeps on this machine, which may serve other run directories too."""
    for entry in cache.entries():
        with found.file(str(entry)):
            cache.verify(entry)
            found.add(cache.title, verified=True)


def describe(found: Verification, *, every: bool = False) -> list[Part]:
    """What the terminal shows: counts, by kind of file too, then damaged files, of which `every` shows all."""
    verified = sum(tally.verified for tally in found.tallies.values())
    unverified = sum(tally.unverified for tally in found.tallies.values())
    counts = f"{len(found.damaged)} damaged, {verified} verified"
    counts += f", {unverified} unverified (written without a digest)" if unverified else ""
    parts: list[Part] = [Line(counts, "bold red" if found.damaged else "bold")]
    damaged = [f"damaged: {line}" for line in found.damaged]
    parts += (Line(line, "red") for line in first_lines(damaged, None if every else MOST_DAMAGED))
    if found.tallies:
        header = ("kind", "verified", *(["unverified"] if unverified else []))
        rows = [
            (kind, str(tally.verified), str(tally.unverified))[: len(header)] for kind, tally in found.tallies.items()
        ]
        parts += ["", TextTable(header=header, rows=rows, right=frozenset({1, 2}))]
    return parts
