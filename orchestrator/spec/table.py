"""The `table` block: from what is written to the table's record, and what of it cannot be meant."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.spec.distributions import Distribution
from orchestrator.spec.rows import RowSpec
from orchestrator.spec.schema import SpecModel, TableModel
from orchestrator.spec.settings import closest
from orchestrator.spec.yaml_document import Document
from orchestrator.store.records import TableRecord

__all__ = ["check_table", "table_of"]

MATRIX_FACTORS = 2


def table_of(model: TableModel) -> TableRecord:
    """The table asked for; what is not written has the defaults of `TableRecord`."""
    given = model.model_dump(exclude_unset=True)
    rows = given.pop("rows", None)
    lists = {key: tuple(given.pop(key)) for key in ("columns", "group") if given.get(key)}
    given = {key: value for key, value in given.items() if key not in ("columns", "group")}
    wanted = {"top": rows} if isinstance(rows, int) else {"rows": tuple(rows or ())}
    return TableRecord(**{**given, **lists, **wanted})


def check_table(
    document: Document,
    model: SpecModel | None,
    rows: Sequence[RowSpec],
    drawn: Sequence[Distribution],
    problems: list[str],
) -> None:
    """Complain of rows, factors and columns that the sweep does not have."""
    if model is None:
        return
    table, origins = model.table, document.origins
    labels = [row.label for row in rows]
    if isinstance(table.rows, list) and drawn:
        text = "the trials of a search are not known by name; write how many to show, for example rows: 10"
        problems.append(f"{origins.nearest('table', 'rows')}: table.rows: {text}")
    elif isinstance(table.rows, list) and rows:
        problems.extend(
            f"{origins.nearest('table', 'rows', place)}: table.rows: no row {label!r}; {closest(label, labels)}"
            for place, label in enumerate(table.rows)
            if label not in labels
        )
    factors = list(dict.fromkeys([item.key for row in rows for item in row.settings] + [item.key for item in drawn]))
    problems.extend(
        f"{origins.nearest('table', 'group', place)}: table.group: no factor {key!r}; {closest(key, factors)}"
        for place, key in enumerate(table.group)
        if factors and key not in factors
    )
    if table.layout == "matrix" and model.method == "grid" and rows:
        varied = {
            key: len({repr(row.factors().get(key)) for row in rows if row.label != document.values.get("baseline")})
            for key in (model.parameters or {})
        }
        if sum(count > 1 for count in varied.values()) != MATRIX_FACTORS:
            text = "a matrix needs a grid over two factors; write layout: list or groups"
            problems.append(f"{origins.nearest('table', 'layout')}: table.layout: {text}")
    elif table.layout == "matrix" and model.method != "grid":
        text = "a matrix belongs to `method: grid`; write layout: list"
        problems.append(f"{origins.nearest('table', 'layout')}: table.layout: {text}")
    columns = table.columns or list(TableRecord().columns)
    for block, keys in (("precision", table.precision), ("direction", table.direction)):
        problems.extend(
            f"{origins.nearest('table', block, key)}: table.{block}.{key}: no column of this table; "
            f"{closest(key, columns)}"
            for key in keys
            if key not in columns
        )
