"""From a `SweepSpec` to its trials and the record of the plan; imports no torch, ray or mlflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.errors import SpecErrorCollector, SweepError
from orchestrator.planning.build_config import ConfigBuilder, ResolvedRow
from orchestrator.planning.identity import canonical_of_row, seeded_ids, study_id
from orchestrator.planning.resolve import (
    check_grace,
    check_inputs,
    check_row,
    read_inputs,
    resolve_bound,
    resolve_row,
)
from orchestrator.planning.rows_on_data import (
    RowsOnData,
    caption_of,
    captions_of,
    changes_of,
    data_set_record,
    equal_trials,
    json_value,
    named_notes,
    names_of,
    notes_on,
    planned_rows,
    protocols_of,
    records_of,
)
from orchestrator.planning.selection import check_selection
from orchestrator.planning.table_columns import unknown_columns
from orchestrator.planning.unused_settings import unused_settings
from orchestrator.spec.settings import closest, extended_by
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.spec.workload_in_use import reading_for
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.extras import PlannedRow
from orchestrator.workload.inputs import Inputs
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import built_in, workload_of

__all__ = ["CACHE", "SweepPlan", "Trial", "TrialSelection", "json_value", "plan_sweep", "seeded_trials"]

RunKey: TypeAlias = tuple[str, str, int]
"""Row, data set (empty where the file names none) and seed."""

CACHE = "cache"
"""Folder below the run directory for what can be computed again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One computation; several rows may share it."""

    trial_id: str
    config: Any
    """Normalised; paths are absolute. Its type says which workload trains it (`workload_of`)."""
    data_digest: str = ""
    """Of its inputs, such as the data set it is trained on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPlan:
    """The trials of a sweep and the record of what they are for."""

    record: SweepRecord
    trials: tuple[Trial, ...]
    """Distinct, in running order: all rows with the first seed, baseline first, on each data set, then all with the
    second."""
    workload: LoadedWorkload = field(default_factory=built_in)
    """The code that trains."""
    rows: Mapping[str, tuple[PlannedRow, ...]] = field(default_factory=dict)
    """By name of the data set, empty in a sweep over one: the rows with their configs and inputs; of a search its
    baseline only."""

    def forecast(self, data: str = "") -> list[str]:
        """Lines about what the rows are expected to do on a data set, if the workload has any."""
        lines = self.workload.extras.forecast
        return [] if lines is None else list(lines(self.rows.get(data, ())))

    def unfinished(self, outcomes: Mapping[str, AttemptRecord]) -> tuple[Trial, ...]:
        """The trials that still have to run (`SweepRecord.ends_trial`), in running order."""
        results = SweepResults(sweep=self.record, outcomes=outcomes)
        return tuple(trial for trial in self.trials if not results.ended(trial.trial_id))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSelection:
    """The trials that `--only ROW` and `--trial ID` select to run now; the plan and its table stay whole."""

    rows: tuple[str, ...] = ()
    """Labels."""
    trials: tuple[str, ...] = ()
    """Ids, or prefixes of ids."""

    def of(self, record: SweepRecord, further: Iterable[str] = ()) -> frozenset[str]:
        """Ids of the selected trials of a plan, and of `further` ones that it may still get.

        Raises SweepError for a row or an id that it does not have.
        """
        labels = {row.label for row in record.rows}
        trial_ids = {*record.trial_ids, *further}
        for row in self.rows:
            if row not in labels:
                raise SweepError(f"--only {row}: no such row; {closest(row, sorted(labels))}")
        found = {run.trial_id for run in record.cells if run.row in self.rows}
        for text in self.trials:
            matching = {trial_id for trial_id in trial_ids if trial_id.startswith(text)}
            if len(matching) != 1:
                what = "no trial of this sweep has" if not matching else f"{len(matching)} trials have"
                raise SweepError(f"--trial {text}: {what} this id; `--dry-run --json` lists them")
            found |= matching
        return frozenset(found)


def plan_sweep(spec: SweepSpec, *, run_dir: Path, preparing: Callable[[str], None] = lambda _: None) -> SweepPlan:
    """The plan of `spec`. Only digests of data sets are written, to the cache below `run_dir`.

    The plan of a search holds its baseline row; its trials are added while it runs. Raises SpecError, one line per
    mistake, for values or combinations that the trainer refuses, missing data, an image without label and missing
    weights. `preparing` is told what is read for the first time, such as a data set, and by an empty text that this is
    over.
    """
    with reading_for(spec.workload), extended_by(spec.extension):
        return planned(spec, run_dir / CACHE, preparing)


def planned(spec: SweepSpec, cache_dir: Path, preparing: Callable[[str], None]) -> SweepPlan:
    """`plan_sweep`, while the workload of `spec` and its plugins are in use."""
    workload = spec.workload
    errors, builder = SpecErrorCollector(), ConfigBuilder(workload, spec.extension)
    groups = [
        RowsOnData(spec=item, rows=tuple(errors.collect(partial(resolve_row, item.base, builder), spec.rows)))
        for item in spec.data_sets
    ]
    resolved = [row for group in groups for row in group.rows]
    if spec.search is not None:
        bounds = [(parameter, bound) for parameter in spec.search.parameters for bound in parameter.bounds()]
        resolved += errors.collect(partial(resolve_bound, spec.search, spec.base, builder), bounds)
    keys = [workload.inputs_key(row.config) for row in resolved]
    found: dict[Hashable, Inputs] = {}
    first: dict[Hashable, ResolvedRow] = {}
    for key, row in zip(keys, resolved, strict=True):
        first.setdefault(key, row)
    for key, row in first.items():
        with errors:
            found[key] = read_inputs(workload, row, cache_dir, preparing)
            check_selection(spec, found[key])
    errors.collect(partial(check_row, workload, spec.space.resources), resolved)
    for key, row in zip(keys, resolved, strict=True):
        if (known := found.get(key)) is not None:
            with errors:
                check_inputs(workload, row, known)
    if spec.space.scheduler is not None:
        with errors:
            check_grace(workload, spec.space.scheduler, resolved)
    if not errors.messages:
        reported = (workload.reported(row.config, found[key]) for key, row in zip(keys, resolved, strict=True))
        errors.messages.extend(unknown_columns(spec.space, workload, reported))
    errors.raise_any()
    inputs = iter(found[key] for key in keys)
    groups = [replace(group, inputs=tuple(next(inputs) for _ in group.rows)) for group in groups]
    names = names_of(groups)
    trials: dict[RunKey, Trial] = {}
    for group, name in zip(groups, names, strict=True):
        for row_spec, (config, read) in zip(spec.rows, group.pairs, strict=True):
            named = seeded_trials(config, spec.seeds, read.digest)
            trials.update({(row_spec.label, name, trial.config.seed): trial for trial in named})
    if len(names) > 1:
        errors.messages.extend(equal_trials(spec, names, trials))
    errors.raise_any()
    pairs = [(row.config, found[key]) for key, row in zip(keys, resolved, strict=True)]
    several = len(names) > 1
    return SweepPlan(
        record=plan_record(spec, groups, names, resolved, pairs, trials),
        trials=running_order(spec, names, trials),
        workload=workload,
        rows={name if several else "": planned_rows(spec, group) for group, name in zip(groups, names, strict=True)},
    )


def plan_record(
    spec: SweepSpec,
    groups: Sequence[RowsOnData],
    names: Sequence[str],
    resolved: Sequence[ResolvedRow],
    pairs: Sequence[tuple[Any, Inputs]],
    trials: Mapping[RunKey, Trial],
) -> SweepRecord:
    """The record of a plan.

    `resolved` are the rows and the ends of a search's ranges; `pairs` are their configs and inputs.
    """
    distinct = list({id(item): item for _, item in pairs}.values())
    settings = {key: json_value(setting.value) for key, setting in spec.base.items()}
    records = tuple(
        data_set_record(spec, group, name, settings) for group, name in zip(groups, names, strict=True) if name
    )
    caption = caption_of(spec, pairs, captions_of(spec, groups, names))
    return SweepRecord(
        name=spec.name,
        question=spec.space.question,
        method=spec.space.method,
        recipe=spec.recipe,
        metric=spec.space.metric[0].name,
        looks=(spec.until.first, spec.until.last) if spec.until is not None else None,
        goal=spec.space.metric[0].goal,
        baseline=spec.baseline,
        rows=tuple(
            Row(label=row.label, factors=(factors := row.factors()), titles=spec.workload.titles(factors, config))
            for row, (config, _) in zip(spec.rows, groups[0].pairs, strict=True)
        ),
        seeds=spec.seeds,
        cells=tuple(
            PlannedRun(row=row, seed=seed, trial_id=trial.trial_id, data=name if len(names) > 1 else "")
            for (row, name, seed), trial in trials.items()
        ),
        table=spec.space.table.record(),
        protocol=", ".join((caption, *changes_of(spec))),
        spec=spec.space.document.text,
        search=search_record(spec, settings, (item.digest for item in distinct)),
        settings=settings,
        val_overlaps_test=any(item.val_overlaps_test is not None for item in distinct),
        models=spec.space.tracking.models,
        data=tuple(data for item in records for data in item.data) or records_of(distinct),
        protocols=protocols_of(spec, resolved),
        notes=named_notes(records) if records else notes_on(spec, groups[0]),
        data_sets=records,
        workload=spec.workload.name,
        metrics=(*spec.workload.metrics, *(spec.extension.metrics if spec.extension is not None else ())),
        unused=unused_settings(spec, groups[0].rows),
    )


def search_record(spec: SweepSpec, settings: Mapping[str, Any], data_digests: Iterable[str]) -> dict[str, Any]:
    """The search of `spec` as its record keeps it, in plain JSON values; empty for an ablation or a grid."""
    search, scheduler = spec.search, spec.space.scheduler
    if search is None:
        return {}
    question: dict[str, Any] = {
        "sampler": search.sampler,
        "search_seed": search.seed,
        "objectives": [asdict(objective) for objective in spec.space.metric],
        "parameters": [without_origin(asdict(parameter)) for parameter in search.parameters],
        "scheduler": None if scheduler is None else without_origin(asdict(scheduler)),
    }
    if spec.extension is not None:
        question["plugins"] = sorted({source.digest for source, _ in spec.extension.names})
    question = json.loads(json.dumps(question))
    study = study_id(question, settings, spec.seeds, data_digests, spec.workload)
    return {**question, "trials": search.trials, "study": study}


def without_origin(block: dict[str, Any]) -> dict[str, Any]:
    """`block` without the place in the file."""
    return {key: value for key, value in block.items() if key != "origin"}


def seeded_trials(config: Any, seeds: Sequence[int], data_digest: str) -> Iterator[Trial]:
    """The trials of a resolved row, one per seed; the canonical form of its config is computed once."""
    config_type = type(config)
    values = {item.name: getattr(config, item.name) for item in fields(config) if item.init}  # as `replace` has them
    trial_ids = seeded_ids(canonical_of_row(config), seeds, data_digest, workload_of(config))
    for seed, trial_id in zip(seeds, trial_ids, strict=True):
        yield Trial(trial_id=trial_id, config=config_type(**{**values, "seed": seed}), data_digest=data_digest)


def running_order(spec: SweepSpec, names: Sequence[str], trials: Mapping[RunKey, Trial]) -> tuple[Trial, ...]:
    """Distinct trials, seed by seed and on one data set of `names` after the other, baseline first.

    So an interrupted sweep has comparable rows early.
    """
    labels = sorted((row.label for row in spec.rows), key=lambda label: label != spec.baseline)
    ordered = (trials[label, name, seed] for seed in spec.seeds for name in names for label in labels)
    return tuple({trial.trial_id: trial for trial in ordered}.values())
