"""`--dry-run`: what a sweep would run, what is done already and what it will take; imports no torch, ray or mlflow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from orchestrator.planning.cost_forecast import CostBook, describe_cost
from orchestrator.planning.plan import CACHE, SweepPlan
from orchestrator.planning.stale import (
    StaleTrial,
    StaleTrials,
    describe_stale,
    find_stale,
    remedy,
    settle,
    with_present_code,
)
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.records import AttemptRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["PlanState", "plan_as_json", "plan_as_text", "plan_state"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanState:
    """A plan with what the run directory has of it."""

    plan: SweepPlan
    outcomes: Mapping[str, AttemptRecord]
    """By trial id; without those that `--rerun-stale` runs again."""
    stale: tuple[StaleTrial, ...] = ()
    """Trials about which the user has not decided."""


def plan_state(plan: SweepPlan, directory: RunDirectory, choice: StaleTrials = "refuse") -> PlanState:
    """What `directory` has of `plan`; `choice` is what the sweep does with stale trials. Raises StoreError."""
    trial_ids = plan.record.trial_ids
    if set(trial_ids).isdisjoint(directory.files.names("trials")):
        return PlanState(plan=plan, outcomes={})
    record = with_present_code(plan.record, directory, rerun=choice == "rerun")
    outcomes = directory.outcomes(trial_ids, plan=record)
    stale = find_stale(record, outcomes, directory, trial_ids)
    if choice != "refuse":
        outcomes, accepted = settle(stale, choice, outcomes, record, directory)
        record, stale = replace(record, accepted_code=accepted), ()
    return PlanState(plan=replace(plan, record=record), outcomes=outcomes, stale=stale)


def plan_as_json(state: PlanState) -> str:
    """One entry per row and seed; `status` is the state of the attempt that counts, `stale` or `planned`."""
    plan, outcomes = state.plan, state.outcomes
    statuses = {trial_id: record.state.value for trial_id, record in outcomes.items()}
    statuses |= {item.trial_id: "stale" for item in state.stale}
    configs = {trial.trial_id: asdict(trial.config) for trial in plan.trials}
    factors = {row.label: dict(row.factors) for row in plan.record.rows}
    entries: list[dict[str, Any]] = [
        {
            "trial_id": run.trial_id,
            "row": run.row,
            "factors": factors[run.row],
            "seed": run.seed,
            "status": statuses.get(run.trial_id, "planned"),
            "config": configs[run.trial_id],
        }
        for run in plan.record.cells
    ]
    return json.dumps({"trials": entries}, indent=1)


def plan_as_text(
    spec: SweepSpec, state: PlanState, directory: RunDirectory, max_concurrent: int | None = None
) -> list[str]:
    """Lines for the terminal: counts, a cost forecast, stale trials, and for each row what is to run."""
    plan, record = state.plan, state.plan.record
    stale = {item.trial_id for item in state.stale}
    unfinished = [trial for trial in plan.unfinished(state.outcomes) if trial.trial_id not in stale]
    to_run = {trial.trial_id for trial in unfinished}
    done = len(plan.trials) - len(to_run) - len(stale)
    count = f"{len(plan.trials)} trials, {done} done already, {len(to_run)} to run"
    lines = [
        f"{record.name}: {len(record.rows)} rows x {len(record.seeds)} seeds = {len(record.cells)} runs",
        f"{count}, {len(stale)} stale" if stale else count,
    ]
    if stale:
        lines += [f"stale: {line}" for line in describe_stale(state.stale, record, directory)]
        lines.append(f"the sweep will stop and ask: {remedy(state.stale)}")
    if spec.search is not None:
        lines.append(f"{spec.search.sampler} search: {spec.search.trials} trials, suggested while the sweep runs")
    if to_run:
        gpus = spec.space.resources.gpus
        slots = int((os.cpu_count() or 1) / spec.space.resources.cpus)
        slots = min(slots, max_concurrent) if max_concurrent else slots
        costs = CostBook(directory.local_folder / CACHE)
        lines.append(describe_cost(unfinished, costs, slots=slots, gpus_per_trial=0.0 if gpus == "auto" else gpus))
    width = max((len(row.label) for row in record.rows), default=0)
    by_row: dict[str, list[str]] = {row.label: [] for row in record.rows}
    for run in record.cells:
        status = "stale" if run.trial_id in stale else "to run" if run.trial_id in to_run else "done"
        by_row[run.row].append(f"seed {run.seed} {status}")
    return lines + [f"  {label:<{width}}  {', '.join(seeds)}" for label, seeds in by_row.items()]
