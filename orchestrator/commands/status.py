"""The status of a sweep, from its records alone: done, running, failed by error signature, not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from orchestrator.errors import DamagedError
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, Point, State
from orchestrator.store.record_files import steps_of
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.row_means import RowMean, RowMeans

__all__ = [
    "COUNTED",
    "FailureGroup",
    "RowStatus",
    "RunningAttempt",
    "SweepStatus",
    "never_run_as_json",
    "read_status",
    "status_as_json",
]

FRESH_SECONDS = 900.0
"""A trial whose attempt has not ended counts as running until it has been silent for this long."""
COUNTED = ("done", "running", "failed", "stopped", "cancelled", "damaged", "not run")
"""What a trial is counted as, in the order in which the counts are shown."""


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
    """The last one that it reported."""
    steps: int | None = None
    """Of the whole trial, where they are known."""
    watched: float | None
    """Last value of the metric that is watched."""
    silent_seconds: float
    """Since its last point."""


@dataclass(kw_only=True, slots=True)
class RowStatus:
    """The planned runs of a row, on one data set."""

    title: str
    result: RowMean
    """The mean over those that are done."""
    counts: Counter[str] = field(default_factory=Counter)
    """By the words of `COUNTED`."""

    @property
    def planned(self) -> int:
        """Number of runs."""
        return self.counts.total()


@dataclass(frozen=True, kw_only=True)
class SweepStatus:
    """The results of a sweep, and what runs now."""

    results: SweepResults
    running: tuple[RunningAttempt, ...]
    failures: tuple[FailureGroup, ...]

    def count(self, state: State) -> int:
        """Trials in this state; a trial that runs again does not count."""
        return sum(self.results.state_of(key) is state for key in self.idle)

    def counted_as(self, trial_id: str) -> str:
        """One of `COUNTED`."""
        if trial_id in self.running_ids:
            return "running"
        state = self.results.state_of(trial_id)
        if state is None:
            return "not run"
        return state.words if state.words in COUNTED else "failed"

    @cached_property
    def counts(self) -> Counter[str]:
        """Trials by the words of `COUNTED`."""
        return Counter(map(self.counted_as, self.results.sweep.trial_ids))

    @cached_property
    def rows(self) -> tuple[RowStatus, ...]:
        """Each row, on each data set, in the order of the plan."""
        outcomes = {key: self.results.outcomes[key] for key in self.idle if key in self.results.outcomes}
        means = RowMeans(self.results.sweep, outcomes).rows()
        found = {mean.title: RowStatus(title=mean.title, result=mean) for mean in means}
        for run in self.results.sweep.cells:
            found[run.title].counts[self.counted_as(run.trial_id)] += 1
        return tuple(found.values())

    @cached_property
    def running_ids(self) -> frozenset[str]:
        """Ids of the trials that run."""
        return frozenset(attempt.trial_id for attempt in self.running)

    @cached_property
    def idle(self) -> tuple[str, ...]:
        """Ids of the trials that do not run at the moment."""
        return tuple(key for key in self.results.sweep.trial_ids if key not in self.running_ids)

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
            if record.error is not None and record.trial_id not in self.running_ids
        }

    @property
    def not_run(self) -> tuple[str, ...]:
        """Ids of the trials without an attempt, ended or running."""
        return tuple(key for key in self.idle if key not in self.results.outcomes)


def read_status(directory: RunDirectory, name: str, now: float) -> SweepStatus:
    """The status of sweep `name` at the time `now`, in seconds since the epoch. Raises StoreError if it never ran."""
    results = directory.results(name)
    running, watched = [], results.sweep.watched_metric.name
    started = set(directory.files.names("trials"))
    for trial_id in results.unfinished:
        if trial_id not in started:
            continue
        ended = results.outcomes.get(trial_id)
        points = list(directory.points(trial_id))
        if (attempt := running_attempt(trial_id, points, ended.attempt if ended else 0, now, watched)) is not None:
            with suppress(DamagedError):  # without it the number of steps is unknown
                attempt = replace(attempt, steps=steps_of(directory.trial_facts(trial_id)))
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


def status_as_json(status: SweepStatus) -> dict[str, Any]:
    """Counts and trial ids; failures by their error signature."""
    return {
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


def never_run_as_json(name: str) -> Mapping[str, Any]:
    """The same of a sweep that never ran."""
    nothing = {"trials": 0, "done": 0, "running": [], "failed": {}, "damaged": {}, "missing": []}
    return {"sweep": name, **nothing, "never_run": True}
