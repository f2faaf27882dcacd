"""Delete what a run directory no longer needs: forgotten plans, unreferenced trials and unneeded checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from orchestrator.commands.local_time import local_time
from orchestrator.commands.which_trials import seed_ranges
from orchestrator.errors import StoreError
from orchestrator.machine.first_few import first_few, first_lines
from orchestrator.machine.text_table import Line, Part, TextTable
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.cleanup import Leftover, foreign_folders, forgettable_plans, unneeded_files, unreferenced_trials
from orchestrator.store.kept_plans import plan_key
from orchestrator.store.record_files import steps_of
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord

__all__ = ["clean"]

MOST_NAMES = 3
"""Foreign files or ranges of seeds that a line names."""
MOST_ROWS_NAMED = 2
MOST_GROUPS = 10
MOST_PLANS = 3
MOST_FOREIGN = 3
"""What is shown without `--all`."""


def clean(
    store: RecordStore, keep_checkpoints: str, *, delete: bool, forget: str | None = None, every: bool = False
) -> list[Part]:
    """What the terminal shows: counts, plans to forget, and trials and files in groups; `every`: one by one.

    `keep_checkpoints` is `all`, `last` or `best`; `forget` is a sweep whose earlier plans no longer count as
    references, or `all`. `delete` deletes what is found. Raises StoreError when another driver holds the run
    directory, or there is no such sweep.
    """
    plans = [] if forget is None else forgettable_plans(store, sweeps_to_forget(store, forget))
    trials = unreferenced_trials(store, plans)
    unreferenced_ids = {item.trial_id for item in trials}
    kept = [name for name in store.files.names("trials") if name not in unreferenced_ids]
    found = [*trials, *unneeded_files(store, kept, keep_checkpoints)]
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
    details: list[Part] = [
        *first_lines(others, None if every else MOST_FOREIGN),
        *first_lines(describe_plans(store, plans), None if every else MOST_PLANS),
        *describe(store, found, every=every),
    ]
    if not (plans or found):
        return [Line(total, "bold"), *details]
    if not delete:
        hint: list[Part] = [] if every else ["", Line("--all lists each of them", "dim")]
        return [Line(f"{total}; --yes deletes them", "bold"), *details, *hint]
    with store.lock():
        store.forget_plans(plans)
        deleted = [*store.clean(unreferenced_ids), *store.prune(kept, keep_checkpoints)]
    forgotten = f"{len(plans)} plan{'s' if len(plans) > 1 else ''} and " if plans else ""
    size = sum(item.size for item in deleted)
    return [Line(f"deleted {forgotten}{len(deleted)} of {len(found)}, {megabytes(size)}", "bold"), *details]


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


def describe(directory: RunDirectory, found: Sequence[Leftover], *, every: bool) -> list[Part]:
    """A line for each group of trials and files, the largest first; `every`: one for each of them."""
    if not found:
        return []
    planned = planned_trials(directory)
    trial_ids = list(dict.fromkeys(item.trial_id for item in found))
    outcomes = directory.outcomes(trial_ids)
    trials = {key: LeftTrial.of(directory, key, planned, outcomes.get(key)) for key in trial_ids}
    if every:
        return [f"{trials[item.trial_id].text}, {megabytes(item.size)}  {item.key}" for item in found]
    groups: dict[tuple[str, ...], list[Leftover]] = {}
    for item in found:
        groups.setdefault((item.name or "trial", *trials[item.trial_id].group), []).append(item)
    largest = sorted(groups.items(), key=lambda entry: -sum(item.size for item in entry[1]))
    rows = []
    for (name, sweep, steps, state), items in largest[:MOST_GROUPS]:
        which = name_trials([trials[item.trial_id] for item in items])
        size = megabytes(sum(item.size for item in items))
        rows.append((str(len(items)), name, f"{sweep}: {which}" if sweep else which, steps, state, size))
    header = ("", "what", "of", "steps", "state", "size")
    parts: list[Part] = ["", TextTable(header=header, rows=rows, right=frozenset({0, 3, 5}))]
    if rest := largest[MOST_GROUPS:]:
        parts.append(f"and {sum(len(items) for _, items in rest)} more in {len(rest)} groups")
    return parts


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftTrial:
    """What is known of a trial: from the plans, else from what it says of itself."""

    sweep: str = ""
    row: str = ""
    seed: int | None = None
    steps: int | None = None
    record: AttemptRecord | None = None
    """The attempt that counts."""

    @classmethod
    def of(
        cls,
        directory: RunDirectory,
        trial_id: str,
        planned: Mapping[str, tuple[str, str, int]],
        record: AttemptRecord | None,
    ) -> Self:
        """The trial `trial_id`; `planned` are sweep, row and seed by trial id."""
        try:
            facts = directory.trial_facts(trial_id)
        except StoreError:  # a damaged file must not keep its trial for ever
            facts = {}
        seed = facts.get("config", {}).get("seed")
        of_itself = str(facts.get("sweep") or ""), str(facts.get("row") or ""), seed
        sweep, row, seed = planned.get(trial_id, of_itself)
        return cls(sweep=sweep, row=row, seed=seed, steps=steps_of(facts), record=record)

    @property
    def text(self) -> str:
        """`ablation_memory, pixel memory, seed 0, 60 steps, done on 2026-11-27 10:15`."""
        first = ", ".join(filter(None, (self.sweep, self.row)))
        parts = [first or "row of a deleted sweep", "unknown seed" if self.seed is None else f"seed {self.seed}"]
        parts += [] if self.steps is None else [f"{self.steps} steps"]
        ended = None if self.record is None else local_time(self.record.ended_at)
        return ", ".join([*parts, self.state if ended is None else f"{self.state} on {ended}"])

    @property
    def state(self) -> str:
        """How it ended, in words."""
        return "never ended" if self.record is None else self.record.state.words

    @property
    def group(self) -> tuple[str, str, str]:
        """Sweep, steps and state: trials in which these are equal are shown together."""
        return self.sweep, "–" if self.steps is None else str(self.steps), self.state


def name_trials(trials: Sequence[LeftTrial]) -> str:
    """`pixel memory; region memory, seeds 0-2`, or `5 rows, seeds 0-2`."""
    rows = sorted({trial.row for trial in trials if trial.row})
    seeds = {trial.seed for trial in trials if trial.seed is not None}
    named = "; ".join(rows) if len(rows) <= MOST_ROWS_NAMED else f"{len(rows)} rows"
    listed = first_few(seed_ranges(seeds), MOST_NAMES)
    known = [named or "row of a deleted sweep", f"seed{'s' if len(seeds) > 1 else ''} {listed}" if seeds else ""]
    return ", ".join(filter(None, known))


def planned_trials(directory: RunDirectory) -> dict[str, tuple[str, str, int]]:
    """Sweep, row and seed by trial id, from all plans; those of the newest plan count."""
    found: dict[str, tuple[str, str, int]] = {}
    for name in directory.sweep_names():
        plans: list[SweepRecord] = [*(kept.sweep for kept in directory.kept_plans(name)), directory.sweep(name)]
        for sweep in plans:
            found |= {run.trial_id: (name, run.title, run.seed) for run in reversed(sweep.cells)}
    return found


def megabytes(size: int) -> str:
    """`3.2 MB`."""
    return f"{size / 1e6:.1f} MB"
