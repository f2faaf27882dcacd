"""From a `SweepSpec` to the trials it takes and the promise that is kept of it; imports no torch, ray or mlflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.caption import describe_protocol
from orchestrator.planning.datasets import check_data, check_label_images, data_key, remembered_facts
from orchestrator.planning.identity import canonical, content_id
from orchestrator.planning.resolve import (
    check_classes,
    check_grace,
    check_weights,
    effective_settings,
    resolve_bounds,
    resolve_drawn,
    resolve_rows,
)
from orchestrator.spec.settings import config_leaves
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.records import PlannedRun, Row, SweepRecord
from trainer.config import TrainConfig

__all__ = ["SweepPlan", "Trial", "check_labels", "draw_trial", "dry_run_json", "plan_sweep"]

CACHE = "cache"
"""Folder below the run directory for what can be computed again."""

PLANNED = "planned"
"""Status of a trial of which nothing is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One computation; it may answer for several rows."""

    trial_id: str
    config: TrainConfig
    """Normalised; paths are absolute."""
    data_digest: str = ""
    """Of the data set it is trained on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPlan:
    """What to run and what it is for."""

    record: SweepRecord
    trials: tuple[Trial, ...]
    """Distinct, in running order: all rows with the first seed, baseline first, then all with the second."""


def plan_sweep(spec: SweepSpec, *, run_dir: Path) -> SweepPlan:
    """The plan of `spec`; digests of data sets are remembered below `run_dir`, nothing else is written.

    The plan of a search has its baseline row only; `draw_trial` makes its trials. Raises SpecError, one line per
    mistake, for values or combinations that the trainer refuses, missing data, an image without label and missing
    weights.
    """
    problems: list[str] = []
    remembered_facts.cache_clear()
    rows = resolve_rows(spec, problems)
    arms = [*rows, *resolve_bounds(spec, problems)]
    facts = check_data((arm.use() for arm in arms), run_dir / CACHE, problems)
    check_weights(arms, problems)
    check_classes(arms, facts, problems)
    check_grace(spec, arms, problems)
    if problems:
        raise SpecError(*dict.fromkeys(problems))
    trials: dict[tuple[str, int], Trial] = {}
    for row_spec, row in zip(spec.rows, rows, strict=True):
        named = name_trials(row.config, spec.seeds, facts[data_key(row.config.data)].digest)
        trials.update({(row_spec.label, trial.config.seed): trial for trial in named})
    record = SweepRecord(
        name=spec.name,
        question=spec.question,
        method=spec.method,
        recipe=spec.recipe,
        metric=spec.metric,
        looks=(spec.until.first, spec.until.last) if spec.until is not None else None,
        goal=spec.goal,
        baseline=spec.baseline,
        rows=tuple(Row(label=row.label, factors=row.factors()) for row in spec.rows),
        seeds=spec.seeds,
        cells=tuple(PlannedRun(row=row, seed=seed, trial_id=trial.trial_id) for (row, seed), trial in trials.items()),
        table=spec.table,
        protocol=describe_protocol([(arm.config, facts[data_key(arm.config.data)]) for arm in arms], spec.seeds),
        spec=spec.text,
        search=describe_search(spec),
        settings={key: plain(setting.value) for key, setting in spec.base.items()},
        models=spec.models,
    )
    return SweepPlan(record=record, trials=running_order(spec, trials))


def plain(value: Any) -> Any:
    """A setting's value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def describe_search(spec: SweepSpec) -> dict[str, Any]:
    """The search of `spec` for its record; empty where nothing is drawn."""
    if spec.search is None:
        return {}
    parameters = [asdict(parameter) for parameter in spec.search.parameters]
    return {
        "sampler": spec.search.sampler,
        "trials": spec.search.trials,
        "objectives": [asdict(objective) for objective in spec.objectives],
        "parameters": [{key: value for key, value in item.items() if key != "origin"} for item in parameters],
    }


def name_trials(config: TrainConfig, seeds: Sequence[int], digest: str) -> Iterator[Trial]:
    """The trials of a row, one a seed, on data with `digest`; what a config computes is spelled out once a row."""
    content = canonical(config)
    for seed in seeds:
        yield Trial(
            trial_id=content_id({**content, "seed": seed}, digest),
            config=replace(config, seed=seed),
            data_digest=digest,
        )


def draw_trial(spec: SweepSpec, number: int, values: Mapping[str, Any], *, run_dir: Path) -> tuple[Row, Trial]:
    """Trial `number` of the search in `spec`, with `values` by dotted key as a sampler drew them.

    A value of a parameter that does not count beside the others is passed over. Cheap: the data set is looked at once
    per process, or plan. Raises SpecError for values or combinations that the trainer refuses, with the lines of the
    parameters.
    """
    if spec.search is None:
        raise ValueError(f"{spec.path}: method {spec.method} draws no trials")
    problems: list[str] = []
    drawn: dict[str, Any] = {}
    for item in spec.search.active(drawn):
        try:
            drawn[item.key] = config_leaves()[item.key].check(values[item.key])
        except ValueError as error:
            raise SpecError(f"{item.origin}: {item.key}: {error}") from error
    row = resolve_drawn(spec.search, spec.base, drawn, ConfigBuilder(), problems)
    if row is None:
        raise SpecError(*problems)
    key, cache_dir = data_key(row.config.data), run_dir / CACHE
    facts = remembered_facts(key, cache_dir) or check_data([row.use()], cache_dir, problems).get(key)
    check_weights([row], problems)
    check_classes([row], {key: facts} if facts else {}, problems)
    if problems or facts is None:
        raise SpecError(*dict.fromkeys(problems))
    factors = {key: list(value) if isinstance(value, tuple) else value for key, value in drawn.items()}
    return Row(label=f"trial {number}", factors=factors), next(name_trials(row.config, spec.seeds, facts.digest))


def running_order(spec: SweepSpec, trials: Mapping[tuple[str, int], Trial]) -> tuple[Trial, ...]:
    """Distinct trials, seed by seed, the baseline first: an interrupted sweep has comparable rows early."""
    labels = sorted((row.label for row in spec.rows), key=lambda label: label != spec.baseline)
    ordered = (trials[label, seed] for seed in spec.seeds for label in labels)
    return tuple({trial.trial_id: trial for trial in ordered}.values())


def check_labels(spec: SweepSpec, plan: SweepPlan, *, run_dir: Path) -> None:
    """Decode every label of the data sets in `plan`, once per data set and `run_dir`; for the start of a sweep.

    Those of all trials that a search may draw are among them. Raises SpecError, with file and line of `data.root`,
    for a label that does not decode or has an illegal id.
    """
    configs = {trial.trial_id: trial.config.data for trial in plan.trials}
    trial_of_row = {cell.row: cell.trial_id for cell in plan.record.cells}
    problems: list[str] = []
    rows = [(configs[trial_of_row[row.label]], effective_settings(spec, row), row.origin) for row in spec.rows]
    drawn = [arm.use() for arm in resolve_bounds(spec, [])]
    check_label_images([*rows, *drawn], run_dir / CACHE, problems)
    if problems:
        raise SpecError(*dict.fromkeys(problems))


def dry_run_json(plan: SweepPlan, statuses: Mapping[str, str]) -> dict[str, Any]:
    """What `--dry-run --json` prints: one entry per row and seed; `statuses` by trial id."""
    configs = {trial.trial_id: asdict(trial.config) for trial in plan.trials}
    factors = {row.label: dict(row.factors) for row in plan.record.rows}
    entries = [
        {
            "trial_id": cell.trial_id,
            "row": cell.row,
            "factors": factors[cell.row],
            "seed": cell.seed,
            "status": statuses.get(cell.trial_id, PLANNED),
            "config": configs[cell.trial_id],
        }
        for cell in plan.record.cells
    ]
    return {"trials": entries}
