"""The status of a sweep, from its records alone: done, running, failed by error signature, not run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.planning.cost_forecast import duration
from orchestrator.store.records import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults

__all__ = ["FailureGroup", "RunningAttempt", "SweepStatus", "read_status", "status_as_json", "status_as_text"]

FRESH_SECONDS = 900.0
"""A trial whose attempt has not ended counts as running until it has been silent for this long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailureGroup:
    """Trials whose last attempt failed at the same place."""

    state: State
    error: ErrorRecord
    """Of the first trial."""
    trial_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningAttempt:
    """An attempt that has started and not ended."""

    trial_id: str
    attempt: int
    step: int
    watched: float | None
    """Last value of the metric that is watched."""
    silent_seconds: float
    """Since its last point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStatus:
    """The results of a sweep, and what runs now."""

    results: SweepResults
    running: tuple[RunningAttempt, ...]
    failures: tuple[FailureGroup, ...]

    def count(self, state: State) -> int:
        """Trials in this state; a trial that runs again does not count."""
        return sum(self.results.state_of(key) is state for key in self.idle)

    @property
    def idle(self) -> tuple[str, ...]:
        """Ids of the trials that do not run at the moment."""
        running = {attempt.trial_id for attempt in self.running}
        return tuple(key for key in self.results.sweep.trial_ids if key not in running)

    @property
    def to_resume(self) -> tuple[AttemptRecord, ...]:
        """The last attempts of trials that were stopped or cancelled and still have to run."""
        ended = [self.results.outcomes[key] for key in self.idle if key in self.results.outcomes]
        return tuple(record for record in ended if record.error is None and not self.results.ended(record.trial_id))

    @property
    def damaged(self) -> dict[str, str]:
        """Trials whose record is not what was written, with the file and the reason."""
        return {
            record.trial_id: record.error.message
            for record in self.results.damaged
            if record.error is not None and record.trial_id in self.idle
        }

    @property
    def not_run(self) -> tuple[str, ...]:
        """Ids of the trials without an attempt, ended or running."""
        return tuple(key for key in self.idle if key not in self.results.outcomes)


def read_status(directory: RunDirectory, name: str, now: float) -> SweepStatus:
    """The status of sweep `name` at the time `now`, in seconds since the epoch. Raises StoreError if it never ran."""
    results = directory.results(name)
    running, watched = [], results.sweep.watched_metric.name
    for trial_id in results.unfinished:
        ended = results.outcomes.get(trial_id)
        points = list(directory.points(trial_id))
        if (attempt := running_attempt(trial_id, points, ended.attempt if ended else 0, now, watched)) is not None:
            running.append(attempt)
    running_ids = {attempt.trial_id for attempt in running}
    failed = [
        record
        for key, record in results.outcomes.items()
        if key not in running_ids and record.state is not State.DAMAGED
    ]
    return SweepStatus(results=results, running=tuple(running), failures=group_failures(failed))


def running_attempt(
    trial_id: str, points: Sequence[Point], ended: int, now: float, watched: str
) -> RunningAttempt | None:
    """The attempt after number `ended`, if there is one and it reported in the last `FRESH_SECONDS`."""
    open_points = [point for point in points if point.attempt > ended]
    if not open_points:
        return None
    last = max(open_points, key=lambda point: (point.attempt, point.time))
    silent_seconds = now - last.time
    if silent_seconds > FRESH_SECONDS:
        return None
    values = [point.metrics[watched] for point in open_points if watched in point.metrics]
    return RunningAttempt(
        trial_id=trial_id,
        attempt=last.attempt,
        step=max(point.step for point in open_points),
        watched=values[-1] if values else None,
        silent_seconds=silent_seconds,
    )


def group_failures(records: Sequence[AttemptRecord]) -> tuple[FailureGroup, ...]:
    """Failed trials by state and signature, the largest group first."""
    groups: dict[tuple[State, str], list[tuple[str, ErrorRecord]]] = {}
    for record in records:
        if (error := record.error) is not None:
            groups.setdefault((record.state, error.signature or error.kind), []).append((record.trial_id, error))
    found = [
        FailureGroup(state=state, error=members[0][1], trial_ids=tuple(trial_id for trial_id, _ in members))
        for (state, _), members in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: -len(group.trial_ids)))


def status_as_json(status: SweepStatus) -> str:
    """Counts and trial ids; failures by their error signature."""
    content = {
        "sweep": status.results.sweep.name,
        "trials": len(status.results.sweep.trial_ids),
        "done": status.count(State.DONE),
        "running": [attempt.trial_id for attempt in status.running],
        "failed": {
            group.error.signature: {"state": group.state.value, "trials": list(group.trial_ids)}
            for group in status.failures
        },
        "damaged": status.damaged,
        "missing": list(status.not_run),
    }
    return json.dumps(content, indent=1)


def status_as_text(status: SweepStatus, command: str) -> list[str]:
    """Lines for the terminal; `command` is the command line of the sweep."""
    sweep = status.results.sweep
    failed = sum(len(group.trial_ids) for group in status.failures)
    counts = [f"{status.count(State.DONE)} done", f"{len(status.running)} running", f"{failed} failed"]
    counts += [
        f"{status.count(state)} {state.words}"
        for state in (State.STOPPED, State.CANCELLED, State.DAMAGED)
        if status.count(state)
    ]
    lines = [f"{sweep.name}: {len(sweep.trial_ids)} trials: {', '.join(counts)}, {len(status.not_run)} not run"]
    for trial in status.running:
        words = status.results.sweep.watched_metric.words
        figure = "" if trial.watched is None else f", {words} {trial.watched:.4f}"
        attempt = "" if trial.attempt == 1 else f", attempt {trial.attempt}"
        silence = f", last report {duration(trial.silent_seconds)} ago"
        label = sweep.label_of(trial.trial_id)
        lines.append(f"running  {label} [{trial.trial_id}]: step {trial.step}{figure}{attempt}{silence}")
    for group in status.failures:
        count = f"{len(group.trial_ids)} trial{'s' if len(group.trial_ids) > 1 else ''}"
        lines += ["", f"{group.state.words}, {count}, signature {group.error.signature or '-'}:"]
        lines += [f"  {sweep.label_of(trial_id)} [{trial_id}]" for trial_id in group.trial_ids]
        trace = group.error.traceback.rstrip() or group.error.summary
        lines += [f"  | {line}" for line in trace.splitlines()]
        lines.append(f"  debug it: {command} --trial {group.trial_ids[0]} --debug")
    if status.damaged:
        lines += ["", "damaged, to run again:"]
        lines += [f"  {sweep.label_of(trial_id)} [{trial_id}]: {reason}" for trial_id, reason in status.damaged.items()]
    if status.to_resume:
        lines += ["", "to run again:"]
        lines += [
            f"  {sweep.label_of(item.trial_id)} [{item.trial_id}]: {item.state.words}" for item in status.to_resume
        ]
    if status.not_run:
        lines += ["", "not run:"]
        lines += [f"  {sweep.label_of(trial_id)} [{trial_id}]" for trial_id in status.not_run]
    return lines
