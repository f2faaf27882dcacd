"""Parquet cache: the records of a sweep's finished trials in one file; the only module that imports pyarrow.

    <run_dir>/sweeps/<sweep>/records.parquet     a row per attempt of each trial that is done

The driver writes it when a sweep ends (`RecordStore.compact`), so that the next start, the reports and `status` read
one file instead of thousands. It is only a cache: the JSON records stay, and it can be deleted. A row is used only
while its record is unchanged (size and time of change; in an object store: while the trial's folder exists), so a trial
that was deleted or repaired since is read from its own files. A damaged or foreign file is ignored.

Column `record` holds the JSON text, unchanged, and is what is read back; the other columns are for pandas or DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

from orchestrator.store.backends import Files
from orchestrator.store.records import AttemptRecord

__all__ = ["StoredAttempt", "pack", "read_compacted"]

FORMAT = b"contrast-sweep attempts 1"
"""Value of `format` in the file's metadata."""

FEW = {False: 1000, True: 20}
"""By `Files.remote`: up to this many records, reading their own files is faster than importing pyarrow."""


class StoredAttempt(NamedTuple):
    """A record and where it is stored."""

    key: str
    text: str
    """The JSON as it was written."""
    record: AttemptRecord


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
            "record": pa.string(),
        },
        metadata={b"format": FORMAT},
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
            "record": text,
        }
        for (key, text, record), stamp, counts in attempts
    ]
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def read_compacted(files: Files, trial_ids: Sequence[str], *, prefer: str | None = None) -> dict[str, str]:
    """The JSON text of the attempt that counts, by trial id, for those of the trials that are in a sweep's cache.

    Caches are read one by one, that of the sweep `prefer` first, while more than a few trials are missing.
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
            rows = unpack(content, wanted)
            stamps = files.stamps([row["key"] for row in rows])
            found |= {
                row["trial_id"]: row["record"] for row, stamp in zip(rows, stamps, strict=True) if stamp == row["stamp"]
            }
            wanted -= found.keys()
    return found


def unpack(content: bytes, wanted: set[str]) -> list[dict[str, str]]:
    """`trial_id`, `key`, `stamp` and `record` of the attempts that count; nothing of a damaged or foreign file."""
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
