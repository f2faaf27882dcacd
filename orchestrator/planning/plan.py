"""From a `SweepSpec` to its trials and the record of the plan; imports no torch, ray or mlflow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.errors import SpecErrorCollector, SweepError
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.caption import caption_sentence
from orchestrator.planning.datasets import DataFacts, DataKey, data_facts, data_key, distinct_data_sets
from orchestrator.planning.describe_data import data_record
from orchestrator.planning.identity import canonical, content_id, study_id
from orchestrator.planning.key_forecast import KeysPerAnchor, TrainPixels, expected_keys
from orchestrator.planning.protocols import protocols_of
from orchestrator.planning.resolve import (
    check_class_count,
    check_compute,
    check_grace,
    check_weights,
    resolve_bound,
    resolve_row,
)
from orchestrator.planning.rows_on_data import (
    RowsOnData,
    captions_of,
    changes_of,
    data_set_record,
    equal_trials,
    json_value,
    named_notes,
    names_of,
    notes_on,
)
from orchestrator.planning.selection import check_selection
from orchestrator.planning.table_columns import unknown_columns
from orchestrator.spec.settings import closest, extended_by
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.records import AttemptRecord, PlannedRun, Row, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from trainer.config import TrainConfig

__all__ = ["CACHE", "SweepPlan", "Trial", "TrialSelection", "json_value", "plan_sweep", "seeded_trials"]

RunKey: TypeAlias = tuple[str, str, int]
"""Row, data set (empty where the file names none) and seed."""

CACHE = "cache"
"""Folder below the run directory for what can be computed again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One computation; several rows may share it."""

    trial_id: str
    config: TrainConfig
    """Normalised; paths are absolute."""
    data_digest: str = ""
    """Of the data set it is trained on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPlan:
    """The trials of a sweep and the record of what they are for."""

    record: SweepRecord
    trials: tuple[Trial, ...]
    """Distinct, in running order: all rows with the first seed, baseline first, on each data set, then all with the
    second."""
    train_pixels: Mapping[DataKey, TrainPixels] = field(default_factory=dict)
    """Of each data set, by `data_key`."""

    def expected_keys(self, data: str = "") -> dict[str, KeysPerAnchor | None]:
        """Keys that an anchor of each row is expected to meet, by label; None for rows without contrast.

        `data` is the name of a data set of a sweep over several.
        """
        configs = {trial.trial_id: trial.config for trial in self.trials}
        runs = [run for run in self.record.cells if run.trial_id in configs and run.data == data]
        first = {run.row: configs[run.trial_id] for run in reversed(runs)}
        return {
            row.label: expected_keys(first[row.label], self.train_pixels[data_key(first[row.label].data)])
            for row in self.record.rows
            if row.label in first
        }

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


def plan_sweep(spec: SweepSpec, *, run_dir: Path) -> SweepPlan:
    """The plan of `spec`. Only digests of data sets are written, to the cache below `run_dir`.

    The plan of a search holds its baseline row; its trials are added while it runs. Raises SpecError, one line per
    mistake, for values or combinations that the trainer refuses, missing data, an image without label and missing
    weights.
    """
    with extended_by(spec.extension):
        return planned(spec, run_dir)


def planned(spec: SweepSpec, run_dir: Path) -> SweepPlan:
    """`plan_sweep` where the keys of plugins are known."""
    errors, builder = SpecErrorCollector(), ConfigBuilder(spec.extension)
    groups = [
        RowsOnData(spec=item, rows=tuple(errors.collect(partial(resolve_row, item.base, builder), spec.rows)))
        for item in spec.data_sets
    ]
    resolved = [row for group in groups for row in group.rows]
    if spec.search is not None:
        bounds = [(parameter, bound) for parameter in spec.search.parameters for bound in parameter.bounds()]
        resolved += errors.collect(partial(resolve_bound, spec.search, spec.base, builder), bounds)
    data_sets = distinct_data_sets(resolved)
    facts: dict[DataKey, DataFacts] = {}
    for key, row in data_sets.items():
        with errors:
            facts[key] = data_facts(row, run_dir / CACHE)
            check_selection(spec, row, facts[key])
    errors.collect(check_weights, resolved)
    errors.collect(partial(check_compute, spec.space.resources), resolved)
    for row in resolved:
        if (known := facts.get(data_key(row.config.data))) is not None:
            with errors:
                check_class_count(row, known)
    if spec.space.scheduler is not None:
        with errors:
            check_grace(spec.space.scheduler, resolved)
    if not errors.messages:
        classes = ((row.config.contrast, facts[data_key(row.config.data)].class_names) for row in resolved)
        measured = {name for row in resolved for name in row.config.evaluation.metrics or ()}
        errors.messages.extend(unknown_columns(spec.space, classes, measured))
    errors.raise_any()
    names = names_of(groups, facts)
    trials: dict[RunKey, Trial] = {}
    for group, name in zip(groups, names, strict=True):
        for row_spec, row in zip(spec.rows, group.rows, strict=True):
            named = seeded_trials(row.config, spec.seeds, facts[data_key(row.config.data)].digest)
            trials.update({(row_spec.label, name, trial.config.seed): trial for trial in named})
    errors.messages.extend(equal_trials(spec, names, trials))
    errors.raise_any()
    settings = {key: json_value(setting.value) for key, setting in spec.base.items()}
    records = tuple(
        data_set_record(spec, group, name, facts, settings) for group, name in zip(groups, names, strict=True) if name
    )
    captions = [(row.config, facts[data_key(row.config.data)]) for row in resolved]
    caption = caption_sentence(captions, spec.seeds, captions_of(groups, names, facts))
    record = SweepRecord(
        name=spec.name,
        question=spec.space.question,
        method=spec.space.method,
        recipe=spec.recipe,
        metric=spec.space.metric[0].name,
        looks=(spec.until.first, spec.until.last) if spec.until is not None else None,
        goal=spec.space.metric[0].goal,
        baseline=spec.baseline,
        rows=tuple(Row(label=row.label, factors=row.factors()) for row in spec.rows),
        seeds=spec.seeds,
        cells=tuple(
            PlannedRun(row=row, seed=seed, trial_id=trial.trial_id, data=name if len(names) > 1 else "")
            for (row, name, seed), trial in trials.items()
        ),
        table=spec.space.table.record(),
        protocol=", ".join((caption, *changes_of(spec))),
        spec=spec.space.document.text,
        search=search_record(spec, settings, (item.digest for item in facts.values())),
        settings=settings,
        val_overlaps_test=any(item.val_overlaps_test for item in facts.values()),
        models=spec.space.tracking.models,
        data=tuple(data for item in records for data in item.data)
        or tuple(data_record(row.config.data, facts[key]) for key, row in data_sets.items()),
        protocols=protocols_of((row.config for row in resolved), spec.space.table.split),
        notes=named_notes(records) if records else notes_on(spec, groups[0], facts),
        data_sets=records,
    )
    return SweepPlan(
        record=record,
        trials=running_order(spec, names, trials),
        train_pixels={key: TrainPixels.of(row.config.data, facts[key]) for key, row in data_sets.items()},
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
        question["plugins"] = sorted({plugin.source.digest for plugin in spec.extension.plugins})
    question = json.loads(json.dumps(question))
    return {**question, "trials": search.trials, "study": study_id(question, settings, spec.seeds, data_digests)}


def without_origin(block: dict[str, Any]) -> dict[str, Any]:
    """`block` without the place in the file."""
    return {key: value for key, value in block.items() if key != "origin"}


def seeded_trials(config: TrainConfig, seeds: Sequence[int], data_digest: str) -> Iterator[Trial]:
    """The trials of a row, one per seed; the canonical form of the config is computed once."""
    content = canonical(config)
    for seed in seeds:
        yield Trial(
            trial_id=content_id({**content, "seed": seed}, data_digest),
            config=replace(config, seed=seed),
            data_digest=data_digest,
        )


def running_order(spec: SweepSpec, names: Sequence[str], trials: Mapping[RunKey, Trial]) -> tuple[Trial, ...]:
    """Distinct trials, seed by seed and on one data set of `names` after the other, baseline first.

    So an interrupted sweep has comparable rows early.
    """
    labels = sorted((row.label for row in spec.rows), key=lambda label: label != spec.baseline)
    ordered = (trials[label, name, seed] for seed in spec.seeds for name in names for label in labels)
    return tuple({trial.trial_id: trial for trial in ordered}.values())
