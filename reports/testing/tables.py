"""Example tables that show what a style has to handle: every mark, a matrix, headings, no runs, and hostile texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord, TableRecord
from orchestrator.store.sweep_results import SweepResults
from reports.sources.published import read_published
from reports.tables.table import Table, build_table

__all__ = ["HOSTILE", "TABLES"]

MIOU = "final/miou"
COLUMNS = (MIOU, "final/pixel_accuracy", "cost/train_minutes")
HOSTILE = 'all | of_it* & <b>"50 %"</b> \\ {$x^2$} #1 ~ äöü €\u00a0λ'
"""A label with the special characters of the usual formats."""


def sweep(rows: Mapping[str, Mapping[str, Any]], **changes: Any) -> SweepRecord:
    """A plan of three seeds whose first row is the baseline."""
    cells = tuple(PlannedRun(row=row, seed=seed, trial_id=f"{row}#{seed}") for row in rows for seed in range(3))
    values: dict[str, Any] = {
        "name": "example",
        "question": "Which memory lifts mIoU?",
        "method": "ablation",
        "recipe": "synthetic",
        "metric": MIOU,
        "goal": "maximize",
        "baseline": next(iter(rows)),
        "table": TableRecord(columns=COLUMNS),
        **changes,
    }
    rows_planned = tuple(Row(label=label, factors=factors) for label, factors in rows.items())
    return SweepRecord(rows=rows_planned, seeds=(0, 1, 2), cells=cells, **values)


def table(plan: SweepRecord, values: Mapping[str, Sequence[float | None]]) -> Table:
    """The table of a plan whose trials have these mIoU; None: lost."""
    attempts = [attempt(f"{row}#{seed}", miou) for row, each in values.items() for seed, miou in enumerate(each)]
    outcomes = {item.trial_id: item for item in attempts}
    published = read_published(plan.table.published) if plan.table.published else None
    return build_table(SweepResults(sweep=plan, outcomes=outcomes), published, {}, None)


def attempt(trial_id: str, value: float | None) -> AttemptRecord:
    """The attempt of a trial with this mIoU; None: lost."""
    if value is None:
        error = ErrorRecord(kind="LostError", message="its process died")
        return AttemptRecord(trial_id=trial_id, attempt=1, state=State.LOST, started_at=0, ended_at=60, error=error)
    metrics = {MIOU: value, "final/pixel_accuracy": 0.4 + value, "cost/train_minutes": 10 * value}
    return AttemptRecord(trial_id=trial_id, attempt=1, state=State.DONE, started_at=0, ended_at=60, metrics=metrics)


def all_marks() -> Table:
    """Ranks, differences, a lost seed, and a row that never ran, whose label has every special character."""
    rows: dict[str, dict[str, Any]] = {
        "w/o contrast": {"contrast.source": "none"},
        "pixel memory": {"contrast.memory.kind": "pixel"},
        "region memory": {"contrast.memory.kind": "region"},
        "half way": {"contrast.memory.pixels_per_class": 50},
        HOSTILE: {"contrast.memory.pixels_per_class": 500},
    }
    values = {
        "w/o contrast": (0.4105, 0.4033, 0.4147),
        "pixel memory": (0.4399, 0.4251, 0.4311),
        "region memory": (0.4301, None, 0.4455),
        "half way": (0.3222, 0.3333),
    }
    plan = sweep(rows, table=TableRecord(columns=COLUMNS, intervals=True, caption=HOSTILE))
    return table(plan, values)


def matrix() -> Table:
    """A grid of two factors, one down and one across."""
    rows: dict[str, dict[str, Any]] = {
        f"weight {weight}, {kind}": {"contrast.weight": weight, "contrast.memory.kind": kind}
        for weight in (0.1, 0.2)
        for kind in ("pixel", "region")
    }
    values = {row: (0.40 + place / 50, 0.42, 0.44) for place, row in enumerate(rows)}
    plan = sweep(rows, method="grid", table=TableRecord(columns=COLUMNS, layout="matrix"))
    return table(plan, values)


def published() -> Table:
    """Published figures in a block of their own, below a heading."""
    rows: dict[str, dict[str, Any]] = {"ours": {}}
    plan = sweep(rows, table=TableRecord(columns=COLUMNS, published="contrastiveseg_readme"))
    return table(plan, {"ours": (0.41, 0.42, 0.43)})


def no_runs() -> Table:
    """A sweep before its first trial."""
    return table(sweep({"nothing yet": {}}), {})


TABLES = {"all marks": all_marks, "matrix": matrix, "published": published, "no runs": no_runs}
"""Functions that make a table, by name."""
