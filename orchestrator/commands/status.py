"""How a sweep stands, from its records alone: done, running, failed by signature, missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.planning.cost_forecast import duration
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State, SweepRecord
from orchestrator.store.run_directory import RunDirectory

__all__ = ["FailureGroup", "RunningNow", "SweepStatus", "read_status", "show_status"]

FRESH_SECONDS = 900.0
"""A trial without a record that reported so recently is taken to be running; a longer silence is called that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureGroup:
    """Trials whose last attempt failed at the same place."""

    state: State
    error: ErrorRecord
    """Of the first of them."""
    trial_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningNow:
    """A trial that has begun an attempt and not ended it."""

    trial_id: str
    attempt: int
    step: int
    miou: float | None
    """Last `val/miou`."""
    silent_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStatus:
    """What the records say of a sweep."""

    sweep: SweepRecord
    outcomes: Mapping[str, AttemptRecord]
    running: tuple[RunningNow, ...]
    failures: tuple[FailureGroup, ...]

    @property
    def trial_ids(self) -> tuple[str, ...]:
        """All of the sweep, once each."""
        return tuple(dict.fromkeys(cell.trial_id for cell in self.sweep.cells))

    def count(self, *states: State) -> int:
        """Trials that stand in one of the states and are not running again."""
        busy = {trial.trial_id for trial in self.running}
        return sum(record.state in states for key, record in self.outcomes.items() if key not in busy)

    @property
    def missing(self) -> tuple[str, ...]:
        """Trials that never ended an attempt and are not running."""
        busy = {trial.trial_id for trial in self.running}
        return tuple(key for key in self.trial_ids if key not in self.outcomes and key not in busy)


def read_status(run_dir: Path | str, sweep: SweepRecord, now: float) -> SweepStatus:
    """The status of `sweep` from the records below `run_dir`, at the time `now` (seconds since the epoch)."""
    ids = tuple(dict.fromkeys(cell.trial_id for cell in sweep.cells))
    outcomes = RunDirectory(run_dir).outcomes(ids)
    running = []
    for trial_id in ids:
        ended = outcomes.get(trial_id)
        if ended is not None and ended.state is State.DONE:
            continue
        found = running_now(trial_id, list(RunDirectory(run_dir).points(trial_id)), ended.attempt if ended else 0, now)
        if found is not None:
            running.append(found)
    busy = {trial.trial_id for trial in running}
    failed = [record for key, record in outcomes.items() if key not in busy]
    return SweepStatus(sweep=sweep, outcomes=outcomes, running=tuple(running), failures=group_failures(failed))


def running_now(trial_id: str, points: Sequence[Point], ended: int, now: float) -> RunningNow | None:
    """The attempt after the last that ended, if there is one and it was heard of lately."""
    open_points = [point for point in points if point.attempt > ended]
    if not open_points:
        return None
    last = max(open_points, key=lambda point: (point.attempt, point.time))
    silent = now - last.time
    if silent > FRESH_SECONDS:
        return None
    values = [point.metrics["val/miou"] for point in open_points if "val/miou" in point.metrics]
    return RunningNow(
        trial_id=trial_id,
        attempt=last.attempt,
        step=max(point.step for point in open_points),
        miou=values[-1] if values else None,
        silent_seconds=silent,
    )


def group_failures(records: Sequence[AttemptRecord]) -> tuple[FailureGroup, ...]:
    """Failed trials by state and signature, the largest group first."""
    groups: dict[tuple[State, str], list[AttemptRecord]] = {}
    for record in records:
        if record.error is not None:
            groups.setdefault((record.state, record.error.signature or record.error.kind), []).append(record)
    found = [
        FailureGroup(
            state=state,
            error=members[0].error or ErrorRecord(kind="", message=""),
            trial_ids=tuple(record.trial_id for record in members),
        )
        for (state, _), members in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: -len(group.trial_ids)))


def show_status(status: SweepStatus, again: str, left_seconds: float | None = None) -> list[str]:
    """Lines for the terminal; `again` is the command that runs the sweep, `left_seconds` what is left of it."""
    sweep = status.sweep
    labels = {cell.trial_id: f"{cell.row}, seed {cell.seed}" for cell in reversed(sweep.cells)}
    failed = sum(len(group.trial_ids) for group in status.failures)
    counts = [f"{status.count(State.DONE)} done", f"{len(status.running)} running", f"{failed} failed"]
    counts += [
        f"{status.count(state)} {state.value}" for state in (State.STOPPED, State.CANCELLED) if status.count(state)
    ]
    lines = [f"{sweep.name}: {len(status.trial_ids)} trials: {', '.join(counts)}, {len(status.missing)} not run"]
    if left_seconds is not None and len(status.trial_ids) > status.count(State.DONE, State.STOPPED):
        lines.append(f"left: about {duration(left_seconds)} of work")
    for trial in status.running:
        miou = "" if trial.miou is None else f", val mIoU {trial.miou:.4f}"
        attempt = "" if trial.attempt == 1 else f", attempt {trial.attempt}"
        silence = f", last heard of {duration(trial.silent_seconds)} ago"
        lines.append(f"running  {labels[trial.trial_id]} [{trial.trial_id}]: step {trial.step}{miou}{attempt}{silence}")
    for group in status.failures:
        count = f"{len(group.trial_ids)} trial{'s' if len(group.trial_ids) > 1 else ''}"
        kind = group.state.value.replace("_", " ")
        lines += ["", f"{kind}, {count}, signature {group.error.signature or '-'}:"]
        lines += [f"  {labels[trial_id]} [{trial_id}]" for trial_id in group.trial_ids]
        trace = group.error.traceback.rstrip() or f"{group.error.kind}: {group.error.message}"
        lines += [f"  | {line}" for line in trace.splitlines()]
        lines.append(f"  debug it: {again} --trial {group.trial_ids[0]} --debug")
    if status.missing:
        lines += ["", "not run:"]
        lines += [f"  {labels[trial_id]} [{trial_id}]" for trial_id in status.missing]
    return lines
