"""Parquet cache: the records of a sweep's finished trials in one file; the only module that imports pyarrow.

    <run_dir>/sweeps/<sweep>/records.parquet     a row per attempt of each trial that is done

The driver writes it when a sweep ends (`RecordStore.compact`), so that the next start, the reports and `status` read
one file instead of thousands. It is only a cache: the JSON records stay, and it can be deleted. A row is used only
while its record is unchanged (size and time of change; in an object store: while the trial's folder exists), so a trial
that was deleted or repaired since is read from its own files. A foreign file is ignored, and so is one whose content
does not match the digest in its metadata: what is read from the cache needs no verification of its own.

Records are made from the columns, in a tenth of the time that their JSON takes. pandas and DuckDB read them too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.errors import DamagedError
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State
from orchestrator.store.backends import Files
from orchestrator.store.keys import sweep_key
from orchestrator.store.map_column import MapColumn
from orchestrator.store.record_files import StoredAttempt

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CachedAttempt", "CachedColumns", "cache_state", "pack", "read_cache", "read_compacted"]

FORMAT = b"contrast-sweep attempts 3"
"""Value of `format` in the file's metadata; `digest` beside it is that of the columns."""
MAPS = ("metrics", "environment", "resources", "files")
"""Fields of records that are maps."""
SHARED = ("environment", "resources")
"""Those of which most trials have the same."""
REPEATED = ("state", *(f"{name}.key_value.key" for name in MAPS), "environment.key_value.value")
"""Columns with few texts, by their paths in the file; read as these texts and their places."""
PLAIN = ("trial_id", "attempt", "state", "started_at", "ended_at", "error", "counts", "key", "stamp", "verified")
"""The other columns."""
OTHERWISE = "record"
"""Column with the JSON of a record that the columns do not give back exactly: one with integers among its numbers."""

FEW = {False: 1000, True: 20}
"""By `Files.remote`: up to this many records, reading their own files is faster than importing pyarrow."""


class CachedAttempt(NamedTuple):
    """A row of a cache."""

    stored: StoredAttempt
    stamp: str
    """`Files.stamps` of its record."""
    counts: bool
    """Whether it decides its trial's outcome."""


class CachedColumns(NamedTuple):
    """The content of a cache."""

    plain: Mapping[str, list[Any]]
    maps: Mapping[str, MapColumn]

    def digest(self) -> bytes:
        """SHA-256 over all columns, hexadecimal."""
        texts = [json.dumps(self.plain[name]) for name in (*PLAIN, OTHERWISE)]
        texts += [self.maps[name].digest() for name in MAPS]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest().encode()

    @property
    def stamps(self) -> dict[str, dict[str, str]]:
        """By trial id, the stamps of its records by their keys."""
        found: dict[str, dict[str, str]] = {}
        for trial_id, key, stamp in zip(*(self.plain[name] for name in ("trial_id", "key", "stamp")), strict=True):
            found.setdefault(trial_id, {})[key] = stamp
        return found

    def rows(self) -> Iterator[CachedAttempt]:
        """What `pack` was given. Raises ValueError for a state of another version."""
        return map(CachedAttempt, self.attempts(), self.plain["stamp"], self.plain["counts"])

    def attempts(self) -> Iterator[StoredAttempt]:
        """The record of each row. Raises ValueError for a state of another version."""
        plain = self.plain
        maps = [getattr(self.maps[name], "shared_maps" if name in SHARED else "maps")() for name in MAPS]
        states = {name: State(name) for name in set(plain["state"])}
        columns = (plain[name] for name in ("key", "verified", OTHERWISE, *PLAIN[:6]))
        for key, verified, text, trial_id, attempt, state, start, end, error, *found in zip(
            *columns, *maps, strict=True
        ):
            if text is None:
                metrics, environment, resources, files = found
                record = AttemptRecord(
                    trial_id=trial_id,
                    attempt=attempt,
                    state=states[state],
                    started_at=start,
                    ended_at=end,
                    metrics=metrics,
                    error=None if error is None else ErrorRecord(**json.loads(error)),
                    environment=environment,
                    resources=resources,
                    files=files,
                )
            else:
                record = AttemptRecord.from_json(json.loads(text))
            yield StoredAttempt(key, record, verified)


def pack(attempts: Sequence[CachedAttempt]) -> bytes:
    """The Parquet file of attempts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = [item.stored.record for item in attempts]
    text, number = pa.string(), pa.float64()
    types = {"attempt": pa.int64(), "started_at": number, "ended_at": number, "counts": pa.bool_()}
    types |= {"verified": pa.bool_(), "metrics": pa.map_(text, number), "environment": pa.map_(text, text)}
    types |= {"resources": pa.map_(text, number), "files": pa.map_(text, text)}
    columns: dict[str, list[Any]] = {name: [getattr(record, name) for record in records] for name in PLAIN[:5]}
    columns["error"] = [None if item.error is None else json.dumps(item.to_json()["error"]) for item in records]
    columns |= {name: [getattr(item, name) for item in attempts] for name in ("counts", "stamp")}
    columns |= {name: [getattr(item.stored, name) for item in attempts] for name in ("key", "verified")}
    columns |= {name: [list(getattr(record, name).items()) for record in records] for name in MAPS}
    columns[OTHERWISE] = [None if only_floats(record) else json.dumps(record.to_json()) for record in records]
    table = pa.table({name: pa.array(values, types.get(name, text)) for name, values in columns.items()})
    table = table.replace_schema_metadata({b"format": FORMAT, b"digest": columns_of(table).digest()})
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def only_floats(record: AttemptRecord) -> bool:
    """Whether no number of a record is an integer, which a column of numbers would turn into a float."""
    numbers = (record.started_at, record.ended_at, *record.metrics.values(), *record.resources.values())
    return set(map(type, numbers)) == {float}


def columns_of(table: pa.Table) -> CachedColumns:
    """The columns of a cache. Raises LookupError for a table that lacks one."""
    plain = {name: table[name].to_pylist() for name in (*PLAIN, OTHERWISE)}
    return CachedColumns(plain, {name: map_column(table[name]) for name in MAPS})


def map_column(column: pa.ChunkedArray) -> MapColumn:
    """A column of maps as flat arrays."""
    import pyarrow as pa

    whole = column.combine_chunks()
    maps = whole if isinstance(whole, pa.MapArray) else pa.concat_arrays(whole.chunks)
    starts = memoryview(content_of(maps.offsets)).cast("i").tolist()
    first, entries = starts[0], starts[-1] - starts[0]
    names, name_places = encoded(maps.keys.slice(first, entries))
    items = maps.items.slice(first, entries)
    if pa.types.is_floating(items.type):
        content, texts = content_of(items), list[str]()
        values: list[Any] = memoryview(content).cast("d").tolist()
    else:
        texts, content = encoded(items)
        values = [texts[place] for place in memoryview(content).cast("i")]
    return MapColumn([start - first for start in starts], names, name_places, values, texts, content)


def encoded(texts: pa.Array) -> tuple[list[str], bytes]:
    """Each of some texts once, and the place of each among them, 32 bits."""
    import pyarrow as pa

    array = texts if isinstance(texts, pa.DictionaryArray) else texts.dictionary_encode()
    return array.dictionary.to_pylist(), content_of(array.indices)


def content_of(array: pa.Array) -> bytes:
    """The numbers of an array without gaps; `Array.to_numpy` would import pandas."""
    width = array.type.bit_width // 8
    return bytes(memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width])


def read_compacted(files: Files, trial_ids: Sequence[str], *, prefer: str | None = None) -> dict[str, StoredAttempt]:
    """The attempt that counts, by trial id, of those of the trials that are in a sweep's cache.

    Caches are read one by one, that of the sweep `prefer` first, while more than a few trials are missing.
    """
    found: dict[str, StoredAttempt] = {}
    if len(trial_ids) <= FEW[files.remote]:
        return found
    wanted = set(trial_ids)
    for name in sorted(files.names("sweeps"), key=lambda name: (name != prefer, name)):
        if len(wanted) <= FEW[files.remote]:
            break
        cached = read_cache(files, name)
        if cached is not None:
            plain = cached.plain
            counted = zip(plain["trial_id"], plain["counts"], strict=True)
            places = [place for place, (key, counts) in enumerate(counted) if counts and key in wanted]
            stamps = files.stamps([plain["key"][place] for place in places])
            intact = {place for place, stamp in zip(places, stamps, strict=True) if stamp == plain["stamp"][place]}
            rows = enumerate(cached.attempts())
            found |= {item.record.trial_id: item for place, item in rows if place in intact}
            wanted -= found.keys()
    return found


def read_cache(files: Files, name: str) -> CachedColumns | None:
    """The cache of the sweep `name`; None where there is none, or something else."""
    try:
        content = files.read(sweep_key(name, "records.parquet"))
    except DamagedError:
        return None
    return unpack(content) if content else None


def cache_state(content: bytes) -> bool:
    """Whether a file is a cache of this version. Raises ValueError for a damaged one."""
    if unpack(content) is not None:
        return True
    if FORMAT in content or not content.startswith(b"PAR1"):
        raise ValueError("a damaged cache, which is not used; delete it")
    return False


def unpack(content: bytes) -> CachedColumns | None:
    """The columns of a cache; None for a damaged or foreign file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True, read_dictionary=list(REPEATED))
        metadata = file.schema_arrow.metadata or {}
        if metadata.get(b"format") != FORMAT:
            return None
        columns = columns_of(file.read(use_threads=False))
    except (pa.ArrowException, OSError, LookupError, ValueError, OverflowError, MemoryError, TypeError):
        return None
    return columns if metadata.get(b"digest") == columns.digest() else None
