"""`--dry-run`: what a sweep would run, what is done already and what it will take; imports no torch, ray or mlflow."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, replace
from typing import Any

from orchestrator.commands.reason_kind import EarlierPlan, Kind, describe_kinds
from orchestrator.commands.which_trials import seed_ranges
from orchestrator.machine.first_few import first_lines
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.planning.adaptive.recorded_study import earlier_plan, recorded_study
from orchestrator.planning.cost_forecast import CostBook, describe_cost
from orchestrator.planning.plan import CACHE, SweepPlan, TrialSelection
from orchestrator.planning.stale import StaleTrials, describe_stale, plan_state
from orchestrator.spec.distributions import Search
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord, title_of
from orchestrator.store.sweep_results import SweepResults
from orchestrator.workload.data_record import DataRecord

__all__ = ["plan_as_json", "plan_as_text"]

MOST_ROWS = 8
"""Rows that are shown without `--all`: first those with something to run."""
MOST_LINES = 3
"""Damaged records, data sets, and notes that are shown without `--all`."""
STATUSES = ("done", "to run", "stale", "not selected")
"""What a planned run is, in the order of the columns."""


def plan_as_json(
    plan: SweepPlan,
    directory: RunDirectory,
    selection: TrialSelection | None = None,
    choice: StaleTrials = "refuse",
) -> str:
    """`trials`: one entry per row, data set (`data`, of several) and seed; `data`: the census of each data set.

    `status` of an entry is the state of the attempt that counts, `stale` or `planned`. With a `selection` only its
    trials have an entry; `config` of one that a search has drawn is canonical, with dotted keys. `choice` is what the
    sweep does with stale trials. Raises SweepError for a row or trial that is not in the plan.
    """
    record = with_recorded_growth(plan.record, directory) if selection is not None else plan.record
    selected = record.trial_ids if selection is None else selection.of(record)
    state = plan_state(record, directory, record.trial_ids, choice)
    statuses = {trial_id: outcome.state.value for trial_id, outcome in state.outcomes.items()}
    statuses |= {item.trial_id: "stale" for item in state.stale}
    configs = {trial.trial_id: asdict(trial.config) for trial in plan.trials}
    factors = {row.label: dict(row.factors) for row in record.rows}
    entries: list[dict[str, Any]] = [
        {
            "trial_id": run.trial_id,
            "row": run.row,
            **({"data": run.data} if run.data else {}),
            "factors": factors[run.row],
            "seed": run.seed,
            "status": statuses.get(run.trial_id, "planned"),
            "config": configs.get(run.trial_id) or directory.trial_facts(run.trial_id).get("config", {}),
        }
        for run in record.cells
        if run.trial_id in selected
    ]
    return json.dumps({"trials": entries, "data": [asdict(data) for data in plan.record.data]}, indent=1)


def plan_as_text(
    spec: SweepSpec,
    plan: SweepPlan,
    directory: RunDirectory,
    max_concurrent: int | None = None,
    selection: TrialSelection | None = None,
    choice: StaleTrials = "refuse",
    *,
    every: bool = False,
) -> list[Part]:
    """Lines for the terminal: counts, stale trials, cost forecast, data, keys per anchor, and per row what is to run.

    `choice` is what the sweep does with stale trials. With a `selection` only its trials are to run. `every`: all rows
    and notes. Raises SweepError for a row or trial that is not in the plan.
    """
    record = with_recorded_growth(plan.record, directory) if selection is not None else plan.record
    state = plan_state(record, directory, record.trial_ids, choice)
    results = SweepResults(sweep=record, outcomes=state.outcomes)
    stale = {item.trial_id for item in state.stale}
    selected = frozenset(record.trial_ids) if selection is None else selection.of(record)
    ended = {trial_id for trial_id in record.trial_ids if results.ended(trial_id)} - stale
    to_run = selected - ended - stale
    counts = f"{len(record.trial_ids)} trials, {len(ended)} done already"
    counts += f", {len(stale)} stale" if stale else ""
    counts += f", {len(to_run)} to run"
    counts += "" if selection is None else f" of the {len(selected)} selected"
    kinds = EarlierPlan(record, directory, state.outcomes).kinds(to_run)
    if set(kinds) - {Kind.NOT_RUN}:
        counts += f": {describe_kinds(kinds)}"
    parts: list[Part] = [
        Line(f"{record.name}: {' x '.join(factors_of(record))} = {len(record.cells)} runs", "bold"),
        Line(counts, "bold"),
        *(f"stale: {line}" for line in describe_stale(state, directory)),
    ]
    unfinished = [trial for trial in plan.trials if trial.trial_id in to_run]
    if spec.search is not None:
        parts.append(describe_search(spec.search, plan.record, directory))
    if unfinished:
        gpus = spec.space.resources.gpus
        slots = int((os.cpu_count() or 1) / spec.space.resources.cpus)
        slots = min(slots, max_concurrent) if max_concurrent else slots
        costs = CostBook(directory.local_folder / CACHE)
        parts.append(describe_cost(unfinished, costs, slots=slots, gpus_per_trial=0.0 if gpus == "auto" else gpus))
    damaged = [
        f"damaged: {record.label_of(item.trial_id)} [{item.trial_id}]: {item.error.message}"
        for item in results.damaged
        if item.error is not None
    ]
    several = len(record.data) > 1
    notes = [
        f"note: {data.title}: {finding}" if several else f"note: {finding}"
        for data in record.data
        for finding in data.findings
    ]
    most = None if every else MOST_LINES
    parts += first_lines(damaged, most)
    parts += first_lines([f"data: {describe_data(data)}" for data in record.data], most)
    names = [item.name for item in record.data_sets] if len(record.data_sets) > 1 else [""]
    for name in names:
        parts += [f"{name}: {line}" if name else line for line in plan.forecast(name)]
    parts += first_lines([*notes, *(f"note: {text}" for text in record.notes)], most)
    statuses = {trial_id: status_of(trial_id, stale, ended, to_run) for trial_id in record.trial_ids}
    return [*parts, *describe_rows(record, names, statuses, every=every)]


def describe_rows(
    record: SweepRecord, names: Sequence[str], statuses: Mapping[str, str], *, every: bool
) -> Iterator[Part]:
    """The seeds of each row, on each data set of `names`, by what becomes of them."""
    titles = [title_of(row.label, name) for row in record.rows for name in names]
    by_row: dict[str, dict[str, list[int]]] = {title: {} for title in titles}
    for run in record.cells:
        by_row[run.title].setdefault(statuses[run.trial_id], []).append(run.seed)
    if not by_row:
        return
    columns = [word for word in STATUSES if word in ("done", "to run") or any(word in row for row in by_row.values())]
    order, shown = titles, titles
    if not every and len(titles) > MOST_ROWS:
        order = sorted(titles, key=lambda title: "to run" not in by_row[title])
        shown = order[:MOST_ROWS]
    rows = [(title, *(seeds_text(by_row[title].get(word, ())) for word in columns)) for title in shown]
    yield from ("", TextTable(header=("row", *columns), rows=rows))
    if hidden := order[len(shown) :]:
        listed = ", ".join(
            f"{count} {word}"
            for word in columns
            if (count := sum(len(by_row[title].get(word, ())) for title in hidden))
        )
        yield f"and {len(hidden)} more rows, with {listed}; --all shows them"


def seeds_text(seeds: Collection[int]) -> str:
    """`seeds 0-2`; a dash for none."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seed_ranges(seeds))}" if seeds else "–"


def factors_of(record: SweepRecord) -> list[str]:
    """`5 rows`, `2 data sets` where there are several, `3 seeds`."""
    data_sets = [f"{len(record.data_sets)} data sets"] if len(record.data_sets) > 1 else []
    return [f"{len(record.rows)} rows", *data_sets, f"{len(record.seeds)} seeds"]


def status_of(trial_id: str, stale: Set[str], ended: Set[str], to_run: Set[str]) -> str:
    """What the line of a row says about one of its trials."""
    sets = {"stale": stale, "done": ended, "to run": to_run}
    return next((word for word, ids in sets.items() if trial_id in ids), "not selected")


def describe_data(data: DataRecord) -> str:
    """The census of a data set in one line."""
    classes = len(data.class_names)
    parts = []
    for split in data.splits:
        present = f", {split.present} of {classes} classes" if split.pixels else ""
        share = split.void_share if data.has_void else None
        void = "" if share is None else f", {share:.1%} void".replace("%", " %")
        parts.append(f"{split.name} {split.images} {data.examples}{present}{void}")
    if not parts:
        parts = [f"{classes} classes, not counted" if classes else "not counted"]
    return f"{data.title}: {'; '.join(parts)}"


def describe_search(search: Search, record: SweepRecord, directory: RunDirectory) -> str:
    """Which study the search continues, or why it begins another one."""
    study = recorded_study(record, earlier_plan(directory, record.name))
    head = f"{search.sampler} search: {search.trials} trials, "
    if study.differences:
        differences = ", ".join(study.differences)
        return f"{head}suggested while the sweep runs; another study than the recorded one (different: {differences})"
    return f"{head}{study.drawn} of them drawn already; the others are suggested while the sweep runs"


def with_recorded_growth(record: SweepRecord, directory: RunDirectory) -> SweepRecord:
    """A plan that grows with the rows and seeds that earlier commands added to it, so that they can be selected."""
    if not (record.is_search or record.looks):
        return record
    recorded = earlier_plan(directory, record.name)
    if recorded is None or (record.is_search and recorded_study(record, recorded).differences):
        return record
    return replace(
        record,
        rows=tuple({row.label: row for row in (*record.rows, *recorded.rows)}.values()),
        cells=tuple(dict.fromkeys((*record.cells, *recorded.cells))),
    )
