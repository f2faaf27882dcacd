"""All figures of a sweep as tidy Parquet: one line per row, seed and metric.

A run without result is one line without metric, so that the file shows what is missing. pyarrow is imported on demand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_results import SweepResults
from reports.tables.origin import Origin

__all__ = ["render_parquet", "tidy_columns"]

NAMES = (
    *("sweep", "row", "seed", "trial_id", "attempt", "state", "metric", "value"),
    *("minutes", "commit", "diff", "code", "data", "device", "error"),
)
FACTS = ("attempt", "state", "minutes", "commit", "diff", "code", "data", "device", "error")
"""Columns about the attempt that counts."""


def render_parquet(results: SweepResults) -> bytes:
    """The bytes of the file, with the columns of `tidy_columns`; values are in the unit of the records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tidy, text = TidyRuns.of(results), pa.string()
    types = {"seed": pa.int64(), "attempt": pa.int64(), "minutes": pa.float64()}
    lines = pa.array([place for place, number in enumerate(tidy.numbers) for _ in range(number)], pa.int32())
    arrays: dict[str, Any] = {}
    for name, values in tidy.columns.items():
        if name in types:
            arrays[name] = pa.array(values, types[name]).take(lines)
        elif name == "value":
            arrays[name] = pa.array(tidy.values, pa.float64())
        elif name == "metric":
            arrays[name] = pa.array(tidy.metrics, text).dictionary_encode()
        else:  # each text once, before there is a line for each metric
            arrays[name] = pa.array(values, text).dictionary_encode().take(lines)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def tidy_columns(results: SweepResults) -> dict[str, list[Any]]:
    """The lines, column by column; in a sweep over several data sets `data_set` is the name of each line's."""
    tidy = TidyRuns.of(results)
    columns = {
        name: [value for value, number in zip(values, tidy.numbers, strict=False) for _ in range(number)]
        for name, values in tidy.columns.items()
    }
    return columns | {"metric": tidy.metrics, "value": tidy.values}


@dataclass(frozen=True, kw_only=True, slots=True)
class TidyRuns:
    """The planned runs of a sweep, and the metrics of all of them."""

    columns: dict[str, list[Any]]
    """By name, a value for each run; none of `metric` and `value`."""
    numbers: list[int]
    """Of lines of each run: one for each metric, one without a result."""
    metrics: list[str | None]
    """Of each line."""
    values: list[float | None]
    """Of each line."""

    @classmethod
    def of(cls, results: SweepResults) -> TidyRuns:
        """The runs of `results`."""
        cells = results.sweep.cells
        names = (*NAMES, "data_set") if results.sweep.on_several else NAMES
        found = [results.outcomes.get(run.trial_id) for run in cells]
        facts = {id(item): attempt_facts(item) for item in found}
        columns: dict[str, list[Any]] = {name: [] for name in names}
        columns |= {"sweep": [results.sweep.name] * len(cells), "data_set": [run.data or None for run in cells]}
        columns |= {name: [getattr(run, name) for run in cells] for name in ("row", "seed", "trial_id")}
        for place, name in enumerate(FACTS):
            columns[name] = [facts[id(item)][place] for item in found]
        metrics: list[str | None] = []
        values: list[float | None] = []
        numbers = []
        for item in found:
            reported: Mapping[str, float] = {} if item is None or item.state is not State.DONE else item.metrics
            metrics += reported or [None]
            values += reported.values() or [None]
            numbers.append(len(reported) or 1)
        return cls(columns={name: columns[name] for name in names}, numbers=numbers, metrics=metrics, values=values)


def attempt_facts(record: AttemptRecord | None) -> tuple[Any, ...]:
    """Of the attempt that counts, what `FACTS` names."""
    if record is None:
        return (None, "not_run", *[None] * (len(FACTS) - 2))
    origin = Origin.of(record)
    return (
        record.attempt,
        record.state.value,
        (record.ended_at - record.started_at) / 60,
        origin.commit or None,
        origin.diff or None,
        record.code or None,
        origin.data or None,
        record.environment.get("device") or None,
        record.error.kind if record.error is not None else None,
    )
