"""All figures of a sweep as tidy Parquet: one line per row, seed and metric.

A run without result is one line without metric, so that the file shows what is missing. pyarrow is imported on demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.store.records import State
from orchestrator.store.sweep_results import SweepResults
from reports.tables.origin import Origin

__all__ = ["render_parquet", "tidy_columns"]

NAMES = (
    *("sweep", "row", "seed", "trial_id", "attempt", "state", "metric", "value"),
    *("minutes", "commit", "diff", "data", "device", "error"),
)
WORDS = ("sweep", "row", "trial_id", "state", "metric", "commit", "diff", "data", "device", "error")


def render_parquet(results: SweepResults) -> bytes:
    """The bytes of the file.

    Columns: sweep, row, seed, trial_id, attempt, state, metric, value, minutes, commit, diff, data, device, error.
    Values are in the unit of the records; stopped and failed runs have none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"seed": pa.int64(), "attempt": pa.int64(), "value": pa.float64(), "minutes": pa.float64()}
    arrays = {
        name: pa.array(values, pa.string()).dictionary_encode() if name in WORDS else pa.array(values, types[name])
        for name, values in tidy_columns(results).items()
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def tidy_columns(results: SweepResults) -> dict[str, list[Any]]:
    """The lines, column by column."""
    columns: dict[str, list[Any]] = {name: [] for name in NAMES}
    for run in results.sweep.cells:
        record = results.outcomes.get(run.trial_id)
        metrics: Mapping[str, float | None] = (
            record.metrics if record is not None and record.state is State.DONE else {}
        ) or {"": None}
        origin = Origin.of(record) if record is not None else None
        common = {
            "sweep": results.sweep.name,
            "row": run.row,
            "seed": run.seed,
            "trial_id": run.trial_id,
            "attempt": record.attempt if record is not None else None,
            "state": record.state.value if record is not None else "not_run",
            "minutes": (record.ended_at - record.started_at) / 60 if record is not None else None,
            "commit": origin.commit or None if origin is not None else None,
            "diff": origin.diff or None if origin is not None else None,
            "data": origin.data or None if origin is not None else None,
            "device": record.environment.get("device") or None if record is not None else None,
            "error": record.error.kind if record is not None and record.error is not None else None,
        }
        columns["metric"].extend(key or None for key in metrics)
        columns["value"].extend(metrics.values())
        for name, value in common.items():
            columns[name].extend([value] * len(metrics))
    return columns
