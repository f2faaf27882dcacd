"""All figures of a sweep as tidy Parquet: one line per row, seed and metric.

The one place of the reports that imports pyarrow, on demand. A run without result is one line without metric, so that
nobody has to know the plan to see what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.store.records import AttemptRecord, State, SweepRecord

__all__ = ["render_parquet"]

NAMES = (
    *("sweep", "row", "seed", "trial_id", "attempt", "state", "metric", "value"),
    *("minutes", "commit", "diff", "data", "device", "error"),
)
WORDS = ("sweep", "row", "trial_id", "state", "metric", "commit", "diff", "data", "device", "error")


def render_parquet(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> bytes:
    """The bytes of the file.

    Columns: sweep, row, seed, trial_id, attempt, state, metric, value, minutes, commit, diff, data, device,
    error. Values are in the unit of the records; what a scheduler stopped or what failed has no value.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = columns_of(sweep, outcomes)
    word = pa.dictionary(pa.int32(), pa.string())
    types = {
        **dict.fromkeys(WORDS, word),
        "seed": pa.int64(),
        "attempt": pa.int64(),
        "value": pa.float64(),
        "minutes": pa.float64(),
    }
    arrays = {
        name: pa.array(values, pa.string()).dictionary_encode() if name in WORDS else pa.array(values, types[name])
        for name, values in columns.items()
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def columns_of(sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> dict[str, list[Any]]:
    """The lines, column by column."""
    columns: dict[str, list[Any]] = {name: [] for name in NAMES}
    for cell in sweep.cells:
        record = outcomes.get(cell.trial_id)
        metrics: Mapping[str, float | None] = (
            record.metrics if record is not None and record.state is State.DONE else {}
        ) or {"": None}
        facts = record.environment if record is not None else {}
        common = {
            "sweep": sweep.name,
            "row": cell.row,
            "seed": cell.seed,
            "trial_id": cell.trial_id,
            "attempt": record.attempt if record is not None else None,
            "state": record.state.value if record is not None else "not_run",
            "minutes": (record.ended_at - record.started_at) / 60 if record is not None else None,
            "commit": facts.get("commit") or None,
            "diff": facts.get("diff") or facts.get("dirty") or None,
            "data": facts.get("data") or None,
            "device": facts.get("device") or None,
            "error": record.error.kind if record is not None and record.error is not None else None,
        }
        columns["metric"].extend(key or None for key in metrics)
        columns["value"].extend(metrics.values())
        for name, value in common.items():
            columns[name].extend([value] * len(metrics))
    return columns
