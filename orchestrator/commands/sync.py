"""sync: bring sweeps of a run directory to an MLflow server, and compare the two point by point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestrator.api import write_tables
from orchestrator.machine.first_few import first_few, first_lines
from orchestrator.machine.own_folder import temporary_folder
from orchestrator.machine.text_table import Line, Part
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.delivery import Delivery
from orchestrator.tracking.mlflow_limits import fit_name
from orchestrator.tracking.mlflow_store import RunFacts, Server, milliseconds
from orchestrator.tracking.retries import Retries, RetryTimings
from orchestrator.tracking.row_figures import DIFFERENCE, Baseline, difference_name, row_means
from orchestrator.tracking.trial_run import (
    REUSED,
    STATUS,
    Reading,
    key_of,
    link_readings,
    same,
    storable,
    trial_readings,
)
from orchestrator.tracking.uri import tracking_uri_of

__all__ = ["SyncResult", "describe_differences", "describe_sync", "differences", "sync_sweeps"]

LISTED = 5
"""Most missing or extra points that are named for a run."""
MOST_LINES = 10
"""Differences and refusals of a sweep that are shown without `--all`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncResult:
    """What was delivered of one sweep."""

    sweep: SweepRecord
    delivered: tuple[str, ...]
    """Ended trials of which MLflow lacked something."""
    refused: Mapping[str, str]
    """Why a trial could not be delivered, by its id."""


def sync_sweeps(
    run_dir: Path | str, names: Sequence[str], uri: str | None, timings: RetryTimings | None = None
) -> Iterator[SyncResult]:
    """Deliver what MLflow lacks of the sweeps `names` of a run directory; retries as a running sweep does.

    Holds the lock of the run directory, so that nothing else writes a sweep's runs. Raises StoreError (in use, no such
    sweep), AccessError, BlockedError, and OutageError when the server cannot be reached for `outage_seconds`.
    """
    store, retries = RecordStore(run_dir), Retries(timings)
    with store.lock():
        server = retries.run(lambda: Server(tracking_uri_of(uri)))
        for name in names:
            yield sync_sweep(server, store, name, retries)


def sync_sweep(server: Server, directory: RunDirectory, name: str, retries: Retries) -> SyncResult:
    """Deliver what MLflow lacks of one sweep: trials, then tables and counters."""
    delivery = Delivery(directory, name, on_progress=retries.progress)
    results = delivery.results
    retries.run(lambda: delivery.open(server))
    lacking = tuple(delivery.pending)
    for trial_id in results.sweep.trial_ids:
        if trial_id not in results.outcomes and any(directory.points(trial_id)):
            delivery.trial_changed(trial_id, running=False)
    with temporary_folder("tables") as folder:
        files = write_tables(results, out=folder, directory=directory)
        delivery.finish(files, completed=not results.unfinished)
        while not delivery.finished:
            retries.run(lambda: delivery.round(server))
    refused = {trial_id: str(error) for trial_id, error in delivery.refused.items()}
    return SyncResult(
        sweep=results.sweep,
        delivered=tuple(trial_id for trial_id in lacking if trial_id not in refused),
        refused=refused,
    )


def differences(run_dir: Path | str, name: str, uri: str | None, timings: RetryTimings | None = None) -> list[str]:
    """How MLflow differs from the run directory for sweep `name`, one line each; empty when they are equal.

    Compares every point of every metric of every run: value, step and time; and the figures that MLflow has besides,
    differences to the baseline and means of rows. Raises StoreError, TrackingError.
    """
    directory, retries = RunDirectory(run_dir), Retries(timings)
    results = directory.results(name)
    server = retries.run(lambda: Server(tracking_uri_of(uri), create=False))
    runs: dict[tuple[str, ...], list[RunFacts]] = {}
    for run in retries.run(lambda: list(server.runs(f"tags.sweep = '{name}' AND tags.role = 'trial'"))):
        runs.setdefault(tuple(run.tags.get(tag, "") for tag in ("row", "seed", "trial_id")), []).append(run)
    baseline = Baseline(results.sweep)
    found = []
    for planned in results.sweep.cells:
        record = results.outcomes.get(planned.trial_id)
        here = runs.get(tuple(map(str, key_of(planned))), [])
        facts = directory.trial_facts(planned.trial_id)
        if here and record is not None and REUSED in here[0].tags:
            expected = link_readings(record, facts)
        else:
            expected = trial_readings(directory.points(planned.trial_id), record, facts)
        label = f"{planned.title}, seed {planned.seed} [{planned.trial_id}]"
        if not here and (expected or record is not None):
            found.append(f"{label}: no run")
        if len(here) > 1:
            found.append(f"{label}: {len(here)} runs instead of one")
        if here:
            lines = retries.run(partial(compare, server, here[0], record, expected))
            difference = baseline.difference(planned, results.outcomes)
            wanted = {} if difference is None else {difference_name(results.sweep): difference}
            found += [f"{label}: {line}" for line in (*lines, *other_figures(here[0], wanted))]
    for run in retries.run(lambda: list(server.runs(f"tags.sweep = '{name}' AND tags.role = 'sweep'")))[:1]:
        found += other_figures(run, row_means(results))
    return found


def compare(server: Server, run: RunFacts, record: AttemptRecord | None, expected: Sequence[Reading]) -> list[str]:
    """How a run differs from what it should hold."""
    lines = []
    if record is not None and run.status != STATUS[record.state]:
        lines.append(f"{run.status} instead of {STATUS[record.state]}")
    keys = [key for key in run.metrics if not key.startswith(DIFFERENCE)]
    held = Counter(comparable(item) for key in keys for item in server.history(run.run_id, key))
    wanted = Counter(comparable(item._replace(key=fit_name(item.key))) for item in expected)
    for what, points in (("lacks", wanted - held), ("also has", held - wanted)):
        if points:
            names = [f"{key} {value} at step {step}" for key, step, _, value in points]
            lines.append(f"MLflow {what} {first_few(names, LISTED)}")
    return lines


def other_figures(run: RunFacts, wanted: Mapping[str, float]) -> Iterator[str]:
    """Which of the figures `wanted`, by name, a run lacks or has otherwise."""
    for name, value in wanted.items():
        held = run.metrics.get(fit_name(name))
        if held is None or not same(held, storable(value)):
            found = "lacks" if held is None else f"has {held} as"
            yield f"MLflow {found} {name}, which is {value}"


def comparable(reading: Reading) -> tuple[str, int, int, str]:
    """A key that is equal for equal points; NaN equals NaN."""
    return reading.key, reading.step, milliseconds(reading.time), repr(reading.value)


def describe_sync(done: SyncResult, *, every: bool = False) -> list[Part]:
    """What the terminal shows of a sweep that was delivered: how many trials, and which were refused and why."""
    trials = len(done.sweep.trial_ids)
    head = f"{done.sweep.name}: {len(done.delivered)} of {trials} trials delivered, MLflow had the others"
    refused = [f"  refused: {trial_id}: {reason}" for trial_id, reason in done.refused.items()]
    return [head, *(Line(line, "red") for line in first_lines(refused, None if every else MOST_LINES))]


def describe_differences(name: str, found: Sequence[str], *, every: bool = False) -> list[Part]:
    """What the terminal shows of the `differences` of sweep `name`."""
    if not found:
        return [f"{name}: MLflow and the run directory are equal"]
    head = f"{name}: {len(found)} difference{'s' if len(found) > 1 else ''} between MLflow and the run directory"
    return [Line(head, "bold"), *first_lines([f"  {line}" for line in found], None if every else MOST_LINES)]
