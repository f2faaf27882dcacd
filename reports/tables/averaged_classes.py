"""Which classes the means of a table are over, and rows whose means are over different ones.

A trial reports a figure such as `final/iou/<class>` for each class that its means are over, and `val/classes` for how
many classes those on the validation split are over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.machine.first_few import first_few
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import Row, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.metric import class_families
from reports.tables.columns import Column

__all__ = ["AveragedClasses", "find_averaged_classes"]

VAL_CLASSES = "val/classes"
NAMED = 6
"""Classes and rows that a note names, at most."""

Classes = frozenset[str] | int
"""Names of the classes, or how many there are where no names are reported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AveragedClasses:
    """What a table says about its means."""

    sentence: str = ""
    """`mIoU over 10 of 11 classes.`, for the caption; empty where no trial says it."""
    note: str = ""
    """Which rows average over which classes, where they differ."""


def find_averaged_classes(results: SweepResults, columns: Sequence[Column], shown: Sequence[Row]) -> AveragedClasses:
    """What the trials of the rows `shown` say about the columns that are means over classes."""
    sweep = results.sweep
    named = [column for column in columns if column.over_classes]
    prefix = "val/" if all(column.key.startswith("val/") for column in named) else "final/"
    named = [column for column in named if column.key.startswith(prefix)]
    groups = group_rows(results, shown, of_val=prefix == "val/") if named else {}
    if not groups:
        return AveragedClasses()
    what = " and ".join(column.name for column in named)
    total = classes_of(sweep)
    numbers = sorted({count(classes) for classes in groups})
    if len(groups) == 1:
        return AveragedClasses(sentence=f"{what} over {of_total(numbers[0], total)} classes.")
    listed = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return AveragedClasses(
        sentence=f"{what} over {listed} classes, not the same in all rows.",
        note=f"The means of the rows are over different classes, so do not compare them: {describe(groups)}.",
    )


def group_rows(results: SweepResults, shown: Sequence[Row], *, of_val: bool) -> Mapping[Classes, list[str]]:
    """Labels of the rows by the classes that their trials average over; trials that do not say are left out."""
    labels = {row.label for row in shown}
    families = tuple(family.name for family in class_families(results.sweep.declared_metrics))
    groups: dict[Classes, dict[str, None]] = {}
    for run in results.sweep.cells:
        record = results.outcomes.get(run.trial_id)
        if run.row not in labels or record is None or record.state is not State.DONE:
            continue
        if (classes := val_classes(record) if of_val else final_classes(record, families)) is not None:
            groups.setdefault(classes, {})[run.row] = None
    return {classes: list(rows) for classes, rows in groups.items()}


def final_classes(record: AttemptRecord, families: Sequence[str]) -> Classes | None:
    """The classes that the means on the test split are over: those with a figure of their own."""
    names = frozenset(key.removeprefix(start) for start in families for key in record.metrics if key.startswith(start))
    return names or None


def val_classes(record: AttemptRecord) -> Classes | None:
    """How many classes the means on the validation split are over."""
    number = record.metrics.get(VAL_CLASSES)
    return None if number is None else int(number)


def classes_of(sweep: SweepRecord) -> int | None:
    """Number of classes of the data, if it is known and the same for all data sets."""
    numbers = {len(data.class_names) for data in sweep.data}
    return numbers.pop() if len(numbers) == 1 else None


def count(classes: Classes) -> int:
    """Number of classes."""
    return classes if isinstance(classes, int) else len(classes)


def of_total(number: int, total: int | None) -> str:
    """`10 of 11`, `all 11`, or `10` where the total is not known."""
    if total is None:
        return str(number)
    return f"all {total}" if number == total else f"{number} of {total}"


def describe(groups: Mapping[Classes, Sequence[str]]) -> str:
    """The classes of each group of rows, most first."""
    everything = frozenset().union(*(classes for classes in groups if isinstance(classes, frozenset)))
    parts = []
    for classes, labels in sorted(groups.items(), key=lambda item: -count(item[0])):
        lacking = sorted(everything - classes) if isinstance(classes, frozenset) else []
        without = f" without {some(lacking)}" if lacking else ""
        parts.append(f"{count(classes)}{without} ({some(labels)})")
    return "; ".join(parts)


def some(names: Sequence[str]) -> str:
    """The names in one line; of many the first are named and the others counted."""
    return first_few(names, NAMED)
