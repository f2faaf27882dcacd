"""`--dry-run`: what a sweep would run, what is done already and what it will take; imports no torch, ray or mlflow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.planning.cost_forecast import CostBook, describe_cost
from orchestrator.planning.plan import CACHE, SweepPlan
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.data_record import DataRecord
from orchestrator.store.records import AttemptRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["plan_as_json", "plan_as_text"]


def plan_as_json(plan: SweepPlan, outcomes: Mapping[str, AttemptRecord]) -> str:
    """`trials`: one entry per row and seed; `status` is the state of the attempt that counts, or `planned`.

    `data`: the census of each data set.
    """
    configs = {trial.trial_id: asdict(trial.config) for trial in plan.trials}
    factors = {row.label: dict(row.factors) for row in plan.record.rows}
    entries: list[dict[str, Any]] = [
        {
            "trial_id": run.trial_id,
            "row": run.row,
            "factors": factors[run.row],
            "seed": run.seed,
            "status": outcomes[run.trial_id].state.value if run.trial_id in outcomes else "planned",
            "config": configs[run.trial_id],
        }
        for run in plan.record.cells
    ]
    return json.dumps({"trials": entries, "data": [asdict(data) for data in plan.record.data]}, indent=1)


def plan_as_text(
    spec: SweepSpec, plan: SweepPlan, directory: RunDirectory, max_concurrent: int | None = None
) -> list[str]:
    """Lines for the terminal: counts, a cost forecast, and for each row what is to run."""
    record = plan.record
    unfinished = plan.unfinished(directory.outcomes(record.trial_ids, sweep=record.name))
    to_run = {trial.trial_id for trial in unfinished}
    lines = [
        f"{record.name}: {len(record.rows)} rows x {len(record.seeds)} seeds = {len(record.cells)} runs",
        f"{len(plan.trials)} trials, {len(plan.trials) - len(to_run)} done already, {len(to_run)} to run",
    ]
    if spec.search is not None:
        lines.append(f"{spec.search.sampler} search: {spec.search.trials} trials, suggested while the sweep runs")
    if to_run:
        gpus = spec.space.resources.gpus
        slots = int((os.cpu_count() or 1) / spec.space.resources.cpus)
        slots = min(slots, max_concurrent) if max_concurrent else slots
        costs = CostBook(directory.local_folder / CACHE)
        lines.append(describe_cost(unfinished, costs, slots=slots, gpus_per_trial=0.0 if gpus == "auto" else gpus))
    for data in record.data:
        lines += describe_data(data)
    width = max((len(row.label) for row in record.rows), default=0)
    by_row: dict[str, list[str]] = {row.label: [] for row in record.rows}
    for run in record.cells:
        by_row[run.row].append(f"seed {run.seed} {'to run' if run.trial_id in to_run else 'done'}")
    return lines + [f"  {label:<{width}}  {', '.join(seeds)}" for label, seeds in by_row.items()]


def describe_data(data: DataRecord) -> list[str]:
    """The census of a data set in one line, then what in it may be a mistake."""
    classes = len(data.class_names)
    if not data.splits:
        return [f"data: {data.title}: {classes} classes, drawn and not counted"]
    parts = [
        f"{split.name} {split.images} images, {split.present} of {classes} classes"
        + ("" if split.void_share is None else f", {split.void_share:.1%} void".replace("%", " %"))
        for split in data.splits
    ]
    return [f"data: {data.title}: {'; '.join(parts)}", *(f"note: {finding}" for finding in data.findings)]
