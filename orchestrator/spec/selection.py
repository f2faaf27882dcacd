"""What a search chooses by, and what is wrong with it: a search must not choose on the split that is reported."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.spec.schema import SearchSpace
from orchestrator.store.sweep_record import SEARCHES

__all__ = ["ALLOWED", "criteria", "selection_mistakes"]

ALLOWED = "allow it, with a mark in the table, by `table: {allow_selection_on_test: true}`"


def criteria(space: SearchSpace) -> Iterator[tuple[str, str]]:
    """Place in the file (`s.yaml:4: metric`) and name of each metric that a search or its scheduler chooses by."""
    if space.method not in SEARCHES or not space.is_complete("metric"):
        return
    for position, objective in enumerate(space.metric):
        place = ("metric", position) if len(space.metric) > 1 else ("metric",)
        yield f"{space.origin(*place)}: metric", objective.name
    if space.scheduler is not None and len(space.metric) == 1:
        watched = space.metric[0].name.replace("final/", "val/", 1)
        yield f"{space.scheduler.origin}: scheduler", watched


def selection_mistakes(space: SearchSpace) -> Iterator[str]:
    """Metrics of the test split that a search would choose by, one line each."""
    if space.table.allow_selection_on_test or not space.is_complete("table"):
        return
    for where, name in criteria(space):
        if name.startswith("final/"):
            text = f"a search must not choose on the reported split, and {name} is measured on it (data.test_split)"
            yield f"{where}: {text}; write {name.replace('final/', 'val/', 1)}, or {ALLOWED}"
