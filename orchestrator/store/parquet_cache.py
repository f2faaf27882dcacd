"""Parquet cache: the records of a sweep's finished trials in one file; the only module that imports pyarrow.

    <run_dir>/sweeps/<sweep>/records.parquet     a row per attempt of each trial that is done

The driver writes it when a sweep ends (`RecordStore.compact`), so that the next start, the reports and `status` read
one file instead of thousands. It is only a cache: the JSON records stay, and it can be deleted. A row is used only
while its record is unchanged (size and time of change; in an object store: while the trial's folder exists), so a trial
that was deleted or repaired since is read from its own files. A foreign file is ignored, and so is one whose content
does not match the digest in its metadata: what is read from the cache needs no verification of its own.

Column `record` holds the JSON text, unchanged, and is what is read back; the other columns are for pandas or DuckDB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

from orchestrator.errors import DamagedError
from orchestrator.store.backends import Files
from orchestrator.store.record_files import StoredAttempt

__all__ = ["CachedAttempt", "cache_state", "pack", "read_compacted"]

FORMAT = b"contrast-sweep attempts 2"
"""Value of `format` in the file's metadata; `digest` beside it is that of `COLUMNS`."""
COLUMNS = ("trial_id", "counts", "key", "stamp", "verified", "record")
"""What is read back."""

FEW = {False: 1000, True: 20}
"""By `Files.remote`: up to this many records, reading their own files is faster than importing pyarrow."""


class CachedAttempt(NamedTuple):
    """A row of a cache, with the fields of `COLUMNS`."""

    trial_id: str
    counts: bool
    """Whether it decides its trial's outcome."""
    key: str
    stamp: str
    verified: bool
    text: str
    """The JSON as it was written."""


def pack(attempts: Iterable[tuple[StoredAttempt, str, bool]]) -> bytes:
    """The Parquet file of attempts with their `Files.stamps`, and whether each decides its trial's outcome."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        {
            "trial_id": pa.string(),
            "attempt": pa.int64(),
            "state": pa.dictionary(pa.int8(), pa.string()),
            "started_at": pa.float64(),
            "ended_at": pa.float64(),
            "metrics": pa.map_(pa.string(), pa.float64()),
            "environment": pa.map_(pa.string(), pa.string()),
            "counts": pa.bool_(),
            "key": pa.string(),
            "stamp": pa.string(),
            "verified": pa.bool_(),
            "record": pa.string(),
        }
    )
    rows = [
        {
            "trial_id": record.trial_id,
            "attempt": record.attempt,
            "state": record.state.value,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "metrics": list(record.metrics.items()),
            "environment": list(record.environment.items()),
            "counts": counts,
            "key": key,
            "stamp": stamp,
            "verified": verified,
            "record": text,
        }
        for (key, text, record, verified), stamp, counts in attempts
    ]
    digest = digest_of(tuple(row[name] for name in COLUMNS) for row in rows)
    table = pa.Table.from_pylist(rows, schema=schema.with_metadata({b"format": FORMAT, b"digest": digest}))
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def digest_of(rows: Iterable[Sequence[object]]) -> bytes:
    """SHA-256 over `COLUMNS` of all rows, hexadecimal."""
    total = hashlib.sha256()
    for row in rows:
        total.update("\0".join(map(str, row)).encode())
    return total.hexdigest().encode()


def read_compacted(files: Files, trial_ids: Sequence[str], *, prefer: str | None = None) -> dict[str, CachedAttempt]:
    """The attempt that counts, by trial id, of those of the trials that are in a sweep's cache.

    Caches are read one by one, that of the sweep `prefer` first, while more than a few trials are missing.
    """
    found: dict[str, CachedAttempt] = {}
    if len(trial_ids) <= FEW[files.remote]:
        return found
    wanted = set(trial_ids)
    for name in sorted(files.names("sweeps"), key=lambda name: (name != prefer, name)):
        if len(wanted) <= FEW[files.remote]:
            break
        content = read_cache(files, f"sweeps/{name}/records.parquet")
        if content:
            rows = [row for row in unpack(content) or () if row.counts and row.trial_id in wanted]
            stamps = files.stamps([row.key for row in rows])
            found |= {row.trial_id: row for row, stamp in zip(rows, stamps, strict=True) if stamp == row.stamp}
            wanted -= found.keys()
    return found


def read_cache(files: Files, key: str) -> bytes | None:
    """A cache file; None where there is none, or something else."""
    try:
        return files.read(key)
    except DamagedError:
        return None


def cache_state(content: bytes) -> bool:
    """Whether a file is a cache of this version. Raises ValueError for a damaged one."""
    if unpack(content) is not None:
        return True
    if FORMAT in content or not content.startswith(b"PAR1"):
        raise ValueError("a damaged cache, which is not used; delete it")
    return False


def unpack(content: bytes) -> list[CachedAttempt] | None:
    """The attempts of a cache; None for a damaged or foreign file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        metadata = file.schema_arrow.metadata or {}
        if metadata.get(b"format") != FORMAT:
            return None
        columns = file.read(columns=list(COLUMNS), use_threads=False).to_pydict()
        rows = list(zip(*(columns[name] for name in COLUMNS), strict=True))
    except (pa.ArrowException, OSError, LookupError, ValueError, OverflowError, MemoryError):
        return None
    return [CachedAttempt(*row) for row in rows] if metadata.get(b"digest") == digest_of(rows) else None
