"""Delete what a run directory no longer needs: forgotten plans, unreferenced trials and unneeded checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.commands.local_time import local_time
from orchestrator.errors import StoreError
from orchestrator.store.cleanup import Leftover, foreign_folders, forgettable_plans, unneeded_files, unreferenced_trials
from orchestrator.store.kept_plans import plan_key
from orchestrator.store.record_files import steps_of
from orchestrator.store.record_store import RecordStore
from orchestrator.store.records import AttemptRecord, SweepRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["clean"]

MOST_NAMES = 3
"""Foreign files that a line names."""


def clean(store: RecordStore, keep_checkpoints: str, *, delete: bool, forget: str | None = None) -> list[str]:
    """Lines for the terminal: each plan to forget, each trial that no plan refers to, each unneeded file.

    `keep_checkpoints` is `all`, `last` or `best`; `forget` is a sweep whose earlier plans no longer count as
    references, or `all`. `delete` deletes what is listed. Raises StoreError when another driver holds the run
    directory, or there is no such sweep.
    """
    plans = [] if forget is None else forgettable_plans(store, sweeps_to_forget(store, forget))
    trials = unreferenced_trials(store, plans)
    unreferenced_ids = {item.trial_id for item in trials}
    kept = [name for name in store.files.names("trials") if name not in unreferenced_ids]
    found = [*trials, *unneeded_files(store, kept, keep_checkpoints)]
    lines = [*describe_plans(store, plans), *describe(store, found)]
    others = [
        f"trials/{name}: left alone, because this program did not write "
        + (f"{', '.join(files[:MOST_NAMES])} in it" if files else "it")
        for name, files in foreign_folders(store, plans).items()
    ]
    size = sum(item.size for item in found)
    total = (
        f"unreferenced trials: {len(trials)}, unneeded files: {len(found) - len(trials)}, together {megabytes(size)}"
    )
    if plans:
        total = f"plans: {len(plans)}, {total}"
    if not delete or not lines:
        return [*others, *lines, f"{total}; --yes deletes them" if lines else total]
    with store.lock():
        store.forget_plans(plans)
        deleted = [*store.clean(unreferenced_ids), *store.prune(kept, keep_checkpoints)]
    forgotten = f"{len(plans)} plans and " if plans else ""
    size = sum(item.size for item in deleted)
    return [*others, *lines, f"deleted {forgotten}{len(deleted)} of {len(found)}, {megabytes(size)}"]


def sweeps_to_forget(directory: RunDirectory, forget: str) -> list[str]:
    """The names of the sweeps that `--forget-plans` means. Raises StoreError for an unknown one."""
    return directory.sweep_names() if forget == "all" else [directory.sweep(forget).name]


def describe_plans(directory: RunDirectory, keys: Iterable[str]) -> list[str]:
    """`plan 1 of ablation_memory, 15 trials, kept on 2026-11-27 10:15` for each kept plan."""
    wanted = set(keys)
    return [
        f"plan {kept.number} of {name}, {len(kept.sweep.trial_ids)} trials, kept on {local_time(kept.kept_at)}"
        for name in (directory.sweep_names() if wanted else ())
        for kept in directory.kept_plans(name)
        if plan_key(name, kept.number) in wanted
    ]


def describe(directory: RunDirectory, found: list[Leftover]) -> list[str]:
    """`ablation_memory, pixel memory, seed 0, 60 steps, done on 2026-11-27 10:15, 3.2 MB  trials/...` for each."""
    if not found:
        return []
    labels = trial_labels(directory)
    trial_ids = list(dict.fromkeys(item.trial_id for item in found))
    outcomes = directory.outcomes(trial_ids)
    texts = {key: describe_trial(directory, key, labels, outcomes.get(key)) for key in trial_ids}
    return [f"{texts[item.trial_id]}, {megabytes(item.size)}  {item.key}" for item in found]


def describe_trial(
    directory: RunDirectory, trial_id: str, labels: Mapping[str, str], record: AttemptRecord | None
) -> str:
    """Sweep, row, seed, steps and date of a trial, from the plans, else from what the trial says of itself."""
    try:
        facts = directory.trial_facts(trial_id)
    except StoreError:  # a damaged file must not keep its trial for ever
        facts = {}
    config = facts.get("config", {})
    first = ", ".join(str(facts[key]) for key in ("sweep", "row") if facts.get(key))
    seed = f"seed {config['seed']}" if "seed" in config else "unknown seed"
    parts = [labels.get(trial_id) or f"{first or 'row of a deleted sweep'}, {seed}"]
    if (steps := steps_of(facts)) is not None:
        parts.append(f"{steps} steps")
    parts.append("never ended" if record is None else f"{record.state.words} on {local_time(record.ended_at)}")
    return ", ".join(parts)


def trial_labels(directory: RunDirectory) -> dict[str, str]:
    """`ablation_memory, pixel memory, seed 0` by trial id, from all plans; those of the newest plan count."""
    labels: dict[str, str] = {}
    for name in directory.sweep_names():
        plans: list[SweepRecord] = [*(kept.sweep for kept in directory.kept_plans(name)), directory.sweep(name)]
        for sweep in plans:
            labels.update({trial_id: f"{name}, {label}" for trial_id, label in sweep.labels.items()})
    return labels


def megabytes(size: int) -> str:
    """`3.2 MB`."""
    return f"{size / 1e6:.1f} MB"
