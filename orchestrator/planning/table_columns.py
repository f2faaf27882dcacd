"""Columns and metrics that no trial of a sweep will ever have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from orchestrator.spec.schema import SearchSpace
from trainer.config import ContrastConfig
from trainer.figure_names import BANK_FIGURES, CONTRAST_FIGURES, IOU_PREFIX, figure_names

__all__ = ["unknown_columns"]


def unknown_columns(
    space: SearchSpace, rows: Iterable[tuple[ContrastConfig, tuple[str, ...]]], measured: Iterable[str] = ()
) -> Iterator[str]:
    """One line for each column of the table and each metric that no row reports.

    `rows` are the contrastive loss and the classes of each row; `measured` the metrics of plugins that any row has.
    """
    kinds = {(contrast.source, contrast.memory.kind, names): (contrast, names) for contrast, names in rows}
    known = {name for contrast, class_names in kinds.values() for name in figure_names(contrast, class_names)}
    known |= {f"{split}/{name}" for name in measured for split in ("final", "val")}
    for position, column in enumerate(space.table.columns or ()):
        moved = column.replace("final/", "val/", 1) if space.table.split == "val" else column
        if moved not in known:
            where = f"{space.origin('table', 'columns', position)}: table.columns"
            of_split, offered = "", known
            if moved != column:
                of_split = f" for {column!r} of the validation split"
                offered = {name for name in known if name.startswith("val/")}
            yield f"{where}: no trial will report {moved!r}{of_split}; {remedy(moved, offered)}"
    for position, objective in enumerate(space.metric):
        if objective.name not in known:
            place = ("metric", position) if len(space.metric) > 1 else ("metric",)
            where = f"{space.origin(*place, 'name')}: metric.name"
            yield f"{where}: no trial will report {objective.name!r}; {remedy(objective.name, known)}"


def remedy(name: str, known: set[str]) -> str:
    """Why no trial has the metric, or which one was probably meant."""
    if name in CONTRAST_FIGURES | BANK_FIGURES:
        lacking = "a contrastive loss" if name in CONTRAST_FIGURES else "a memory bank"
        return f"no row has {lacking}; remove it"
    if similar := difflib.get_close_matches(name, sorted(known), n=1):
        return f"did you mean {similar[0]!r}?"
    others = sorted(name for name in known if not name.startswith(IOU_PREFIX))
    return f"choose {', '.join(others)} or {IOU_PREFIX}CLASS"
