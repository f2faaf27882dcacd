"""A table as CSV: one line per row of the sweep, in full precision and the unit of the records (0.43, not 43 %)."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from orchestrator.store.sweep_record import title_of
from reports.tables.cell_text import CellText
from reports.tables.table import Table

__all__ = ["guarded", "render_csv", "to_frame", "unguarded"]

FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Starts of texts that spreadsheets take for formulas, also in full width; apostrophes before them are doubled."""

STATISTICS = ("mean", "std", "n", "expected", "delta")
COMPARED = ("delta_low", "delta_high", "p", "p_holm")
"""For printed rows of columns with differences: 95 % interval, p of the paired t test, p corrected by Holm."""


def to_frame(table: Table) -> pd.DataFrame:
    """The table as a frame, a line per row of the sweep, printed or not.

    `row`, one column per factor, then `<metric>.{mean,std,n,expected,delta}` and, for columns with differences,
    `<metric>.{delta_low,delta_high,p,p_holm}`; `other_code_seeds`, the seeds that other code of the trainer than the
    plan's has computed, if there are any (§ in the other styles). In a table over several data sets these names begin
    with that of the data set. Factors that a row does not set and missing figures are None.
    """
    keys = tuple(dict.fromkeys(key for factors in table.factors.values() for key in factors))
    printed = {row.label: row.cell_texts for row in table.rows}
    order = [*printed, *(label for label in table.cells if label not in printed)]
    columns: dict[str, list[Any]] = {"row": order}
    for key in keys:  # as objects: in a float column with gaps 5000 would become 5000.0
        columns[key] = [table.factors[label].get(key) for label in order]
    for place, column in enumerate(table.columns):
        found = [table.cells[label][place].statistics for label in order]
        columns |= {f"{column.key}.{name}": [item[part] for item in found] for part, name in enumerate(STATISTICS)}
        if any(cells[place].delta is not None for cells in table.cells.values()) and any(
            texts[place].comparison is not None for texts in printed.values()
        ):
            rows = [compared_values(printed[label][place] if label in printed else None) for label in order]
            for position, name in enumerate(COMPARED):
                columns[f"{column.key}.{name}"] = [row[position] for row in rows]
    for data in dict.fromkeys(column.data for column in table.columns) if table.other_code else ():
        seeds = [table.other_code.get(title_of(label, data), ()) for label in order]
        if any(seeds):
            columns[f"{data} other_code_seeds".lstrip()] = [" ".join(map(str, found)) or None for found in seeds]
    return pd.DataFrame(
        {name: pd.Series(values, dtype=object if name in keys else None) for name, values in columns.items()}
    )


def compared_values(text: CellText | None) -> tuple[float | None, ...]:
    """Low, high, p and corrected p of one cell; None without a comparison."""
    found = text.comparison if text is not None else None
    if found is None:
        return (None,) * len(COMPARED)
    interval = found.interval
    ends = (interval.low, interval.high) if interval else (None, None)
    return (*ends, found.p_t, found.p_holm)


def render_csv(table: Table) -> str:
    """`to_frame` as text; empty fields are missing values. Texts are `guarded`, numbers are not."""
    frame = to_frame(table)
    for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
        frame[name] = pd.Series([guarded(value) for value in frame[name]], dtype=object)
    return frame.rename(columns=guarded).to_csv(index=False, lineterminator="\n")


def guarded(value: Any) -> Any:
    """A text that a spreadsheet would compute (`=1+1`, `+ memory`, `@name`), with an apostrophe before it.

    So does OWASP's page on CSV injection. `unguarded` removes it; any other value is returned as it is.
    """
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
