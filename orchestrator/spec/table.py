"""What of the `table` block does not fit the rows and columns of the sweep."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.plugins.table_style import FILES
from orchestrator.spec.rows import ROW_BLOCKS, MethodRows
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import closest, quoted
from orchestrator.spec.table_styles import styles_in_use
from orchestrator.spec.workload_in_use import workload_in_use

__all__ = ["table_mistakes"]

MATRIX_FACTORS = 2


def table_mistakes(space: SearchSpace, found: MethodRows) -> Iterator[str]:
    """Rows, factors, columns and a layout that the sweep does not have, one line each."""
    table, rows = space.table, found.rows
    labels = {row.label: None for row in rows}
    if isinstance(table.rows, tuple) and found.distributions:
        text = "the trials of a search have no labels in the file; write how many to show, for example rows: 10"
        yield f"{space.origin('table', 'rows')}: table.rows: {text}"
    elif isinstance(table.rows, tuple) and rows and all(map(space.is_complete, ROW_BLOCKS)):
        for position, label in enumerate(table.rows):
            if label not in labels:
                where = f"{space.origin('table', 'rows', position)}: table.rows"
                yield f"{where}: no row {quoted(label)}; {closest(label, tuple(labels))}"
    set_by_rows = [item.key for row in rows for item in row.settings]
    factors = dict.fromkeys([*set_by_rows, *(item.key for item in found.distributions)])
    for position, key in enumerate(table.group):
        if factors and key not in factors:
            where = f"{space.origin('table', 'group', position)}: table.group"
            yield f"{where}: no factor {quoted(key)}; {closest(key, tuple(factors))}"
    if table.layout == "matrix":
        varied = [
            key
            for key in space.parameters or {}
            if len({repr(row.factors().get(key)) for row in rows if row.label != space.baseline}) > 1
        ]
        where = f"{space.origin('table', 'layout')}: table.layout"
        if space.method != "grid":
            yield f"{where}: a matrix needs `method: grid`; write layout: list"
        elif rows and len(varied) != MATRIX_FACTORS:
            yield f"{where}: a matrix needs a grid over two factors; write layout: list or groups"
    styles = (*FILES, *styles_in_use())
    for position, name in enumerate(table.styles):
        where = f"{space.origin('table', 'styles', position)}: table.styles"
        if name not in styles:
            yield f"{where}: no style {quoted(name)}, nor of a plugin in `plugins`; {closest(name, styles)}"
        elif name in table.styles[:position]:
            yield f"{where}: {quoted(name)} is listed twice; remove one"
    columns = table.columns or workload_in_use().default_columns
    for block, keys in (("precision", table.precision), ("direction", table.direction)):
        for key in keys:
            if key not in columns:
                where = f"{space.origin('table', block, key)}: table.{block}.{key}"
                yield f"{where}: not a column of this table; {closest(key, columns)}"
