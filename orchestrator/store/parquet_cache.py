"""Compaction: the records of a sweep's finished trials in one Parquet file. The one place that imports pyarrow.

    <run_dir>/sweeps/<sweep>/records.parquet     a row per attempt of each trial that is done

Written by the driver when a sweep ends (`RecordStore.compact`), so that the next start, the reports and `status` open
one file where they would open thousands. It is a cache: the JSON records stay, and whoever deletes it loses nothing.
A row counts only while the record it was made from is as it was (size and time of change; in an object store: while
the trial's folder is there), so a trial that was deleted or repaired since is read from its own files. A file that is
damaged, or was written by something else, is passed over.

`record` holds the JSON text, digit for digit, and is what is read back; the other columns are for people with pandas
or DuckDB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.store.backends import Files

__all__ = ["Attempt", "pack", "read_compacted"]

FORMAT = b"contrast-sweep attempts 1"
"""Value of the key `format` in the file's metadata."""

FEW = {False: 1000, True: 20}
"""By `Files.remote`: so many records are read sooner from their own files than pyarrow is imported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A record as it lies in the store."""

    key: str
    stamp: str
    """`Files.stamps` of the key."""
    text: str
    counts: bool
    """Whether it is the attempt that stands for its trial."""


def pack(attempts: Iterable[Attempt]) -> bytes:
    """The Parquet file of these records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row_of(attempt) for attempt in attempts]
    text = pa.map_(pa.string(), pa.string())
    schema = pa.schema(
        {
            "trial_id": pa.string(),
            "attempt": pa.int64(),
            "state": pa.dictionary(pa.int8(), pa.string()),
            "started_at": pa.float64(),
            "ended_at": pa.float64(),
            "metrics": pa.map_(pa.string(), pa.float64()),
            "environment": text,
            "counts": pa.bool_(),
            "key": pa.string(),
            "stamp": pa.string(),
            "record": pa.string(),
        },
        metadata={b"format": FORMAT},
    )
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def row_of(attempt: Attempt) -> dict[str, Any]:
    """The columns for one record."""
    values = json.loads(attempt.text)
    plain = {name: values[name] for name in ("trial_id", "attempt", "state", "started_at", "ended_at")}
    pairs = {name: list(dict(values.get(name) or {}).items()) for name in ("metrics", "environment")}
    ours = {"counts": attempt.counts, "key": attempt.key, "stamp": attempt.stamp, "record": attempt.text}
    return {**plain, **pairs, **ours}


def read_compacted(files: Files, trial_ids: Sequence[str], *, prefer: str | None = None) -> dict[str, str]:
    """By trial id the JSON text of the attempt that counts, of those trials that a compacted sweep vouches for.

    Sweeps are opened one by one, `prefer` first, while more than a few trials are wanted.
    """
    found: dict[str, str] = {}
    if len(trial_ids) <= FEW[files.remote]:
        return found
    wanted = set(trial_ids)
    for name in sorted(files.names("sweeps"), key=lambda name: (name != prefer, name)):
        if len(wanted) <= FEW[files.remote]:
            break
        content = files.read(f"sweeps/{name}/records.parquet")
        if content:
            fresh = still_true(files, unpack(content, wanted))
            found.update(fresh)
            wanted -= fresh.keys()
    return found


def still_true(files: Files, rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Text by trial id of those rows whose record is as it was."""
    stamps = files.stamps([row["key"] for row in rows])
    return {row["trial_id"]: row["record"] for row, stamp in zip(rows, stamps, strict=True) if stamp == row["stamp"]}


def unpack(content: bytes, wanted: set[str]) -> list[dict[str, str]]:
    """`trial_id`, `key`, `stamp` and `record` of the attempts that count; nothing of a file that is not ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        if (file.schema_arrow.metadata or {}).get(b"format") != FORMAT:
            return []
        table = file.read(columns=["trial_id", "counts", "key", "stamp", "record"], use_threads=False)
        columns = table.filter(table["counts"]).drop_columns("counts").to_pydict()
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError):
        return []
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows if row[0] in wanted]
