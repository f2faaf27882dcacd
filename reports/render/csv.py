"""A table as CSV: one line per row, full precision, in the unit of the records (shares, not per cent)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports.tables import Table

__all__ = ["render_csv", "to_frame"]


def to_frame(table: Table) -> pd.DataFrame:
    """The table as a frame: `row`, one column per factor, then `<metric>.{mean,std,n,expected,delta}`.

    A factor that a row does not set, and a mean, std or delta that does not exist, are None.
    """
    factors = tuple(dict.fromkeys(key for row in table.rows for key in row.factors))
    records: list[dict[str, Any]] = []
    for row in table.rows:
        record: dict[str, Any] = {"row": row.label, **dict.fromkeys(factors)}
        for column, entry in zip(table.columns, row.entries, strict=True):
            for statistic in ("mean", "std", "n", "expected", "delta"):
                record[f"{column.key}.{statistic}"] = getattr(entry.cell, statistic)
        records.append(record)
    frame = pd.DataFrame.from_records(records)
    for key in factors:  # as objects, or a factor that one row does not set would turn 5000 into 5000.0
        frame[key] = pd.Series([row.factors.get(key) for row in table.rows], dtype=object)
    return frame


def render_csv(table: Table) -> str:
    """`to_frame` as text; empty fields are missing values."""
    return to_frame(table).to_csv(index=False, lineterminator="\n")
