"""From a `SweepSpec` to the trials it takes and the promise that is kept of it; imports no torch, ray or mlflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.config_builder import ConfigBuilder, origin_of
from orchestrator.data_check import DataFacts, DataKey, check_data, check_label_images, data_key
from orchestrator.errors import SpecError
from orchestrator.identity import PACKAGED_WEIGHTS, trial_id
from orchestrator.protocol import describe_protocol
from orchestrator.records import Cell, Row, SweepRecord
from orchestrator.rows import RowSpec
from orchestrator.settings import Setting
from orchestrator.spec import SweepSpec
from trainer.bank_size import require_bank_fits
from trainer.config import TrainConfig, require_class_weights_fit

__all__ = ["SweepPlan", "Trial", "check_labels", "dry_run_json", "plan_sweep"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPlan:
    """What to run and what it is for."""

    record: SweepRecord
    trials: tuple[Trial, ...]
    """Distinct, in running order: all rows with the first seed, baseline first, then all with the second."""


@dataclass(frozen=True, slots=True)
class ResolvedRow:
    """A row's config before its seeds, and who set what."""

    config: TrainConfig
    settings: Mapping[str, Setting]
    origin: str


def plan_sweep(spec: SweepSpec, *, run_dir: Path) -> SweepPlan:
    """The plan of `spec`; digests of data sets are remembered below `run_dir`, nothing else is written.

    Raises SpecError, one line per mistake, for values or combinations that the trainer refuses, missing data, an
    image without label and missing weights.
    """
    problems: list[str] = []
    rows = resolve_rows(spec, problems)
    facts = check_data(((row.config.data, row.settings, row.origin) for row in rows), run_dir / CACHE, problems)
    check_weights(rows, problems)
    check_classes(rows, facts, problems)
    if problems:
        raise SpecError(*dict.fromkeys(problems))
    trials: dict[tuple[str, int], Trial] = {}
    for row_spec, row in zip(spec.rows, rows, strict=True):
        for seed in spec.seeds:
            config = replace(row.config, seed=seed)
            name = trial_id(config, facts[data_key(config.data)].digest)
            trials[row_spec.label, seed] = Trial(trial_id=name, config=config)
    record = SweepRecord(
        name=spec.name,
        question=spec.question,
        method=spec.method,
        recipe=spec.recipe,
        metric=spec.metric,
        goal=spec.goal,
        baseline=spec.baseline,
        rows=tuple(Row(label=row.label, factors=row.factors()) for row in spec.rows),
        seeds=spec.seeds,
        cells=tuple(Cell(row=row, seed=seed, trial_id=trial.trial_id) for (row, seed), trial in trials.items()),
        table=spec.table,
        protocol=describe_protocol([(row.config, facts[data_key(row.config.data)]) for row in rows], spec.seeds),
        spec=spec.text,
    )
    return SweepPlan(record=record, trials=running_order(spec, trials))


def resolve_rows(spec: SweepSpec, problems: list[str]) -> list[ResolvedRow]:
    """The config of each row; a row that cannot be built is left out and its lines go to `problems`."""
    builder, rows = ConfigBuilder(), []
    for row in spec.rows:
        settings = effective_settings(spec, row)
        config = builder.build(settings, row.origin, problems)
        if config is not None:
            rows.append(ResolvedRow(config.normalised(), settings, row.origin))
    return rows


def effective_settings(spec: SweepSpec, row: RowSpec) -> dict[str, Setting]:
    """What holds for a row: the base of the sweep, and the row's own settings over it."""
    return {**spec.base, **{item.key: item for item in row.settings}}


def running_order(spec: SweepSpec, trials: Mapping[tuple[str, int], Trial]) -> tuple[Trial, ...]:
    """Distinct trials, seed by seed, the baseline first: an interrupted sweep has comparable rows early."""
    labels = sorted((row.label for row in spec.rows), key=lambda label: label != spec.baseline)
    ordered = (trials[label, seed] for seed in spec.seeds for label in labels)
    return tuple({trial.trial_id: trial for trial in ordered}.values())


def check_labels(spec: SweepSpec, plan: SweepPlan, *, run_dir: Path) -> None:
    """Decode every label of the data sets in `plan`, once per data set and `run_dir`; for the start of a sweep.

    Raises SpecError, with file and line of `data.root`, for a label that does not decode or has an illegal id.
    """
    configs = {trial.trial_id: trial.config.data for trial in plan.trials}
    trial_of_row = {cell.row: cell.trial_id for cell in plan.record.cells}
    problems: list[str] = []
    uses = ((configs[trial_of_row[row.label]], effective_settings(spec, row), row.origin) for row in spec.rows)
    check_label_images(uses, run_dir / CACHE, problems)
    if problems:
        raise SpecError(*dict.fromkeys(problems))


def check_weights(rows: Sequence[ResolvedRow], problems: list[str]) -> None:
    """Complain of weight files that do not exist."""
    key = "model.weights"
    for row in rows:
        weights = row.config.model.weights
        if weights not in PACKAGED_WEIGHTS and not Path(weights).is_file():
            choices = ", ".join(PACKAGED_WEIGHTS)
            text = f"no such file {weights!r}; choose {choices} or the path of a .safetensors or .pth file"
            problems.append(f"{origin_of(key, row.settings, row.origin)}: {key}: {text}")


def check_classes(rows: Sequence[ResolvedRow], facts: Mapping[DataKey, DataFacts], problems: list[str]) -> None:
    """Complain of what the number of classes forbids: a bank above its cap, class weights too many or too few."""
    for row in rows:
        contrast, loss, known = row.config.contrast, row.config.loss, facts.get(data_key(row.config.data))
        if known is None:
            continue
        checks = {
            "contrast.memory.pixels_per_class": partial(
                require_bank_fits, contrast.memory, known.classes, contrast.embedding_dim
            ),
            "loss.class_weights": partial(require_class_weights_fit, loss, known.classes),
        }
        for key, check in checks.items():
            try:
                check()
            except ValueError as error:
                problems.append(f"{origin_of(key, row.settings, row.origin)}: {error}")


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
