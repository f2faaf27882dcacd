"""Evidence: what a sweep has left, read from its files alone, without a line of the code under test.

Records and points are JSON, MLflow's store is SQLite, checkpoints are ZIP archives and tables are CSV. Figures are kept
as the eight bytes of their floats, so that two of them are equal only if every bit is.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
import sqlite3
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "TIMED",
    "Attempt",
    "MlflowRun",
    "Planned",
    "Trial",
    "bits",
    "read_mlflow",
    "read_plan",
    "read_table",
    "read_trials",
]

TIMED = frozenset(
    {"cost/train_minutes", "cost/images_per_second", "cost/step_ms", "cost/loader_wait_share", "system/rss_gb"}
)
"""Metrics that depend on time or on the process, so no two runs agree on them."""
POINT_FILE = re.compile(r"points(_\d+_\d+)?\.jsonl")
ATTEMPT_FILE = re.compile(r"attempt_(\d+)\.json")
CHECK = b', "check": "'

Key = tuple[str, int]
"""A metric and a step."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A row with a seed, and its trial."""

    row: str
    seed: int
    trial_id: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A record of an attempt."""

    number: int
    state: str
    """As recorded; `damaged` where the file is not what was written."""
    metrics: Mapping[str, bytes] = field(default_factory=dict)
    """Without those of TIMED."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial's folder."""

    trial_id: str
    attempts: tuple[Attempt, ...]
    points: Mapping[int, Mapping[Key, tuple[bytes, ...]]]
    """By attempt; several values of a metric at one step of one attempt are a doubled point. Without TIMED."""
    broken_lines: int
    """Lines of points that are not what was written."""
    weights: Mapping[str, str] | None
    """Digests of the tensors of last.pt, the best weights among them, by member. None without an intact file."""


@dataclass(frozen=True, kw_only=True)
class MlflowRun:
    """A run in MLflow's database."""

    run_id: str
    status: str
    role: str
    """`sweep`, `trial` or another."""
    sweep: str
    row: str
    seed: int
    trial_id: str
    points: Mapping[Key, tuple[bytes, ...]]
    """With TIMED; several values are a doubled point."""


def bits(value: float) -> bytes:
    """The bytes of a float; every NaN has the same."""
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


def read_plan(run_dir: Path, name: str) -> list[Planned]:
    """What the sweep has to do."""
    plan = json.loads((run_dir / "sweeps" / name / "sweep.json").read_text(encoding="utf-8"))
    if not is_sealed(plan):
        raise ValueError(f"the plan of {name} does not match its digest")
    return [Planned(row=run["row"], seed=run["seed"], trial_id=run["trial_id"]) for run in plan["cells"]]


def read_trials(run_dir: Path) -> dict[str, Trial]:
    """All trials, by id."""
    return {folder.name: read_trial(folder) for folder in sorted((run_dir / "trials").iterdir()) if folder.is_dir()}


def read_trial(folder: Path) -> Trial:
    """A trial's records, points and weights."""
    attempts = [read_attempt(path) for path in folder.iterdir() if ATTEMPT_FILE.fullmatch(path.name)]
    points: dict[int, dict[Key, list[bytes]]] = {}
    broken = 0
    for path in sorted(folder.iterdir()):
        if POINT_FILE.fullmatch(path.name) is None:
            continue
        for line in path.read_bytes().splitlines():
            point = read_point(line)
            if point is None:
                broken += 1
                continue
            found = points.setdefault(point["attempt"], {})
            for metric, value in point["metrics"].items():
                if metric not in TIMED:
                    found.setdefault((metric, point["step"]), []).append(bits(value))
    return Trial(
        trial_id=folder.name,
        attempts=tuple(sorted(attempts, key=lambda attempt: attempt.number)),
        points={number: {key: tuple(values) for key, values in of.items()} for number, of in points.items()},
        broken_lines=broken,
        weights=read_weights(folder / "last.pt"),
    )


def read_attempt(path: Path) -> Attempt:
    """A record, if it is what was written."""
    match = ATTEMPT_FILE.fullmatch(path.name)
    assert match is not None
    number = int(match[1])
    try:
        values = json.loads(path.read_bytes())
    except ValueError:
        return Attempt(number=number, state="damaged")
    if not is_sealed(values) or (values["trial_id"], values["attempt"]) != (path.parent.name, number):
        return Attempt(number=number, state="damaged")
    metrics = {key: bits(value) for key, value in values["metrics"].items() if key not in TIMED}
    return Attempt(number=number, state=values["state"], metrics=metrics)


def is_sealed(values: Any) -> bool:
    """Whether a JSON object holds the SHA-256 of its other keys."""
    if not isinstance(values, dict) or "digest" not in values:
        return False
    rest = {key: value for key, value in values.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return bool(values["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")


def read_point(line: bytes) -> dict[str, Any] | None:
    """A line of points; None unless it matches its checksum."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    if not isinstance(values, dict) or values.get("check") != f"{zlib.crc32(line[: line.rfind(CHECK)]):08x}":
        return None
    return values


def read_weights(path: Path) -> dict[str, str] | None:
    """Digests of the tensors of a checkpoint: torch saves a ZIP archive with a member for each.

    Another member holds the time that training took.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.partition("/")[2].startswith("data/")]
            return {name.partition("/")[2]: hashlib.sha256(archive.read(name)).hexdigest() for name in names}
    except (OSError, zipfile.BadZipFile):
        return None


def read_mlflow(database: Path) -> list[MlflowRun]:
    """All runs that are not deleted, with every point of every metric."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tags: dict[str, dict[str, str]] = {}
        for run_id, key, value in connection.execute("SELECT run_uuid, key, value FROM tags"):
            tags.setdefault(run_id, {})[key] = value
        points: dict[str, dict[Key, list[bytes]]] = {}
        rows = connection.execute("SELECT run_uuid, key, step, value, is_nan FROM metrics")
        for run_id, key, step, value, is_nan in rows:
            value_bits = bits(math.nan if is_nan else value)
            points.setdefault(run_id, {}).setdefault((key, step), []).append(value_bits)
        runs = connection.execute("SELECT run_uuid, status FROM runs WHERE lifecycle_stage = 'active'").fetchall()
    return [
        MlflowRun(
            run_id=run_id,
            status=status,
            role=tags.get(run_id, {}).get("role", ""),
            sweep=tags.get(run_id, {}).get("sweep", ""),
            row=tags.get(run_id, {}).get("row", ""),
            seed=int(tags.get(run_id, {}).get("seed", -1)),
            trial_id=tags.get(run_id, {}).get("trial_id", ""),
            points={key: tuple(values) for key, values in points.get(run_id, {}).items()},
        )
        for run_id, status in runs
    ]


def read_table(folder: Path) -> Counter[tuple[str, str, str, str]]:
    """The cells of a sweep's tables as file, line, column and text, without the columns of TIMED."""
    cells: Counter[tuple[str, str, str, str]] = Counter()
    for name in ("table.csv", "classes.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                label = next(iter(line.values()))
                cells.update((name, label, key, text) for key, text in line.items() if not is_timed(key))
    return cells


def is_timed(column: str) -> bool:
    """Whether a column is about a metric of TIMED: `cost/train_minutes.mean`."""
    return any(column == metric or column.startswith(f"{metric}.") for metric in TIMED)
