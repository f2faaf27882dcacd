"""Columns and metrics that no trial of a sweep will ever have."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator

from orchestrator.spec.schema import SearchSpace
from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["unknown_columns"]


def unknown_columns(space: SearchSpace, workload: LoadedWorkload, reported: Iterable[Collection[str]]) -> Iterator[str]:
    """One line for each column of the table and each metric that no row reports; `reported` are those of each row."""
    known = set[str]().union(*set(map(frozenset, reported)))
    families = tuple(name for name in known if name.endswith("/"))
    for position, column in enumerate(space.table.columns or ()):
        moved = column.replace("final/", "val/", 1) if space.table.split == "val" else column
        if moved not in known and not moved.startswith(families):
            where = f"{space.origin('table', 'columns', position)}: table.columns"
            of_split, offered = "", known
            if moved != column:
                of_split = f" for {column!r} of the validation split"
                offered = {name for name in known if name.startswith("val/")}
            yield f"{where}: no trial will report {moved!r}{of_split}; {remedy(moved, offered, workload)}"
    for position, objective in enumerate(space.metric):
        if objective.name not in known and not objective.name.startswith(families):
            place = ("metric", position) if len(space.metric) > 1 else ("metric",)
            where = f"{space.origin(*place, 'name')}: metric.name"
            yield f"{where}: no trial will report {objective.name!r}; {remedy(objective.name, known, workload)}"


def remedy(name: str, known: set[str], workload: LoadedWorkload) -> str:
    """Why no trial has the metric, or which one was probably meant."""
    if lacking := workload.metric(name).needs:
        return f"no row has {lacking}; remove it"
    if similar := difflib.get_close_matches(name, sorted(known), n=1):
        return f"did you mean {similar[0]!r}?"
    families = {metric.name for metric in workload.metrics if metric.is_family}
    others = sorted(name for name in known if not name.startswith(tuple(families)))
    return f"choose {', '.join(others)}" + "".join(f" or {family}CLASS" for family in sorted(families))
