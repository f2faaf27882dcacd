"""A row of a sweep: a label and what it sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.spec.settings import Setting, closest, read_block
from orchestrator.spec.yaml_document import Document

__all__ = ["BASELINE_LABEL", "RowSpec", "baseline_row", "check_labels"]

BASELINE_LABEL = "baseline"
"""Label of the extra row that a `baseline:` block makes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A row and what it sets."""

    label: str
    settings: tuple[Setting, ...]
    origin: str

    def factors(self) -> dict[str, Any]:
        """Dotted keys and plain values, tuples as lists."""
        return {item.key: list(item.value) if isinstance(item.value, tuple) else item.value for item in self.settings}


def baseline_row(document: Document, problems: list[str]) -> tuple[RowSpec, ...]:
    """The extra row of a `baseline:` block; none where it is a label or missing."""
    given = document.values.get("baseline")
    if not isinstance(given, dict):
        return ()
    settings = read_block(given, document.origins, ("baseline",), problems)
    return (RowSpec(label=BASELINE_LABEL, settings=settings, origin=document.origins["baseline",]),)


def check_labels(document: Document, rows: Sequence[RowSpec], problems: list[str]) -> None:
    """Complain of an empty label, of two rows with the same one, and of a baseline that is no row."""
    labels = [row.label for row in rows]
    problems.extend(f"{row.origin}: rows: a row without label; name it" for row in rows if not row.label.strip())
    seen: set[str] = set()
    for row in rows:
        if row.label in seen:
            problems.append(f"{row.origin}: rows: a second row {row.label!r}; rename one of the two")
        seen.add(row.label)
    baseline = document.values.get("baseline")
    if isinstance(baseline, str) and rows and baseline not in seen:
        origin = document.origins.nearest("baseline")
        problems.append(f"{origin}: baseline: no row {baseline!r}; {closest(baseline, labels)}")
