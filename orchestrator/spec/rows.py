"""The rows of a sweep: a label and what it sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.spec.distributions import Distribution
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import Setting, SettingsBlock, closest, quoted

__all__ = ["BASELINE_LABEL", "ROW_BLOCKS", "MethodRows", "RowSpec", "baseline_row", "label_mistakes"]

BASELINE_LABEL = "baseline"
"""Label of the extra row that a `baseline:` block makes."""
ROW_BLOCKS = ("rows", "one_at_a_time", "leave_one_out", "parameters")
"""Blocks that rows come from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A row and what it sets."""

    label: str
    settings: tuple[Setting, ...]
    origin: str

    def factors(self) -> dict[str, Any]:
        """Dotted keys and plain values, tuples as lists."""
        return {item.key: list(item.value) if isinstance(item.value, tuple) else item.value for item in self.settings}


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodRows:
    """What a search space's method makes of its blocks: what is right in them, and what is wrong."""

    rows: tuple[RowSpec, ...] = ()
    constants: tuple[Setting, ...] = ()
    """Settings for every row: parameters with a single value."""
    distributions: tuple[Distribution, ...] = ()
    """What a search draws, in drawing order."""
    mistakes: tuple[str, ...] = ()
    """One line each."""


def baseline_row(space: SearchSpace) -> tuple[RowSpec, ...]:
    """The extra row of a `baseline:` block; none where the baseline is a label or missing."""
    if not isinstance(space.baseline, SettingsBlock):
        return ()
    return (RowSpec(label=BASELINE_LABEL, settings=space.baseline.settings, origin=space.origin("baseline")),)


def label_mistakes(space: SearchSpace, rows: Sequence[RowSpec]) -> Iterator[str]:
    """What is wrong with the labels: an empty one, one used twice, a baseline that is not a row."""
    labels: dict[str, None] = {}
    for row in rows:
        if not row.label.strip():
            yield f"{row.origin}: rows: a row without a label; name it"
        if row.label in labels:
            yield f"{row.origin}: rows: a second row {quoted(row.label)}; rename one of the two"
        labels[row.label] = None
    is_known = space.baseline in labels or not all(map(space.is_complete, ROW_BLOCKS))
    if isinstance(space.baseline, str) and rows and not is_known:
        remedy = closest(space.baseline, tuple(labels))
        yield f"{space.origin('baseline')}: baseline: no row {quoted(space.baseline)}; {remedy}"
