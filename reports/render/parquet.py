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
    *("minutes", "commit", "diff", "code", "data", "device", "error"),
)


def render_parquet(results: SweepResults) -> bytes:
    """The bytes of the file, with the columns of `tidy_columns`; values are in the unit of the records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"seed": pa.int64(), "attempt": pa.int64(), "value": pa.float64(), "minutes": pa.float64()}
    arrays = {
        name: pa.array(values, types[name]) if name in types else pa.array(values, pa.string()).dictionary_encode()
        for name, values in tidy_columns(results).items()
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def tidy_columns(results: SweepResults) -> dict[str, list[Any]]:
    """The lines, column by column; in a sweep over several data sets `data_set` is the name of each line's."""
    names = (*NAMES, "data_set") if any(run.data for run in results.sweep.cells) else NAMES
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for run in results.sweep.cells:
        record = results.outcomes.get(run.trial_id)
        line: dict[str, Any] = dict.fromkeys(names) | {"sweep": results.sweep.name, "state": "not_run"}
        line |= {"row": run.row, "seed": run.seed, "trial_id": run.trial_id}
        line |= {"data_set": run.data} if run.data else {}
        metrics: Mapping[str, float] = {}
        if record is not None:
            origin = Origin.of(record)
            line |= {
                "attempt": record.attempt,
                "state": record.state.value,
                "minutes": (record.ended_at - record.started_at) / 60,
                "commit": origin.commit or None,
                "diff": origin.diff or None,
                "code": record.code or None,
                "data": origin.data or None,
                "device": record.environment.get("device") or None,
                "error": record.error.kind if record.error is not None else None,
            }
            metrics = record.metrics if record.state is State.DONE else {}
        columns["metric"] += metrics or [None]
        columns["value"] += metrics.values() or [None]
        for name in names:
            if name not in ("metric", "value"):
                columns[name] += [line[name]] * max(1, len(metrics))
    return columns
