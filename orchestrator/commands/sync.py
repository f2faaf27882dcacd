"""sync: replay sweeps of a record store into MLflow, also into a second server; and compare the two, point by point."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.api import write_tables
from orchestrator.errors import AccessError, OutageError, StoreError, TrackingError
from orchestrator.store.record_store import RecordStore
from orchestrator.store.records import AttemptRecord, State, SweepRecord
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.address import tracking_uri_of
from orchestrator.tracking.mirror import REUSED, Mirror
from orchestrator.tracking.mlflow_limits import fit_name
from orchestrator.tracking.mlflow_store import RunFacts, Server, milliseconds
from orchestrator.tracking.trial_run import STATUS, Reading, key_of, link_readings, trial_readings

__all__ = ["Replay", "differences", "replay"]

LISTED = 5
"""Of a run's missing or superfluous points so many are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """What was done about one sweep."""

    sweep: SweepRecord
    delivered: tuple[str, ...]
    """Trials that MLflow lacked something of."""
    refused: Mapping[str, str]
    """By trial id why it could not be delivered."""


def replay(run_dir: Path | str, names: Sequence[str], uri: str | None) -> Iterator[Replay]:
    """Bring the sweeps `names` of a run directory to MLflow; what is there already is left as it is.

    Holds the store's lock, so that the mirror of a running sweep has one writer. Raises StoreError (in use, no such
    sweep), AccessError, and OutageError when the server is not there.
    """
    store = RecordStore(run_dir)
    with store.lock():
        server = Server(tracking_uri_of(uri))
        for name in names:
            yield replay_one(store, server, RunDirectory(run_dir).sweep(name))


def replay_one(store: RecordStore, server: Server, sweep: SweepRecord) -> Replay:
    """Bring one sweep to MLflow: trials, then tables and counters."""
    trial_ids = list(dict.fromkeys(cell.trial_id for cell in sweep.cells))
    outcomes = store.outcomes(trial_ids)
    mirror = Mirror(server, store.location)
    lacking = mirror.begin(sweep, outcomes)
    begun = [key for key in trial_ids if key not in outcomes and any(RunDirectory(store.location).points(key))]
    refused: dict[str, str] = {}
    for trial_id in (*lacking, *begun):
        try:
            mirror.deliver(trial_id, outcomes.get(trial_id))
        except (AccessError, OutageError):
            raise
        except (StoreError, TrackingError) as error:
            refused[trial_id] = str(error)
    with tempfile.TemporaryDirectory() as folder:
        files = write_tables(sweep, outcomes, out=Path(folder), run_dir=store.location)
        mirror.finish(outcomes, files, completed=complete(trial_ids, outcomes, sweep))
    return Replay(sweep=sweep, delivered=tuple(key for key in lacking if key not in refused), refused=refused)


def complete(trial_ids: Sequence[str], outcomes: Mapping[str, AttemptRecord], sweep: SweepRecord) -> bool:
    """Whether every planned trial has come to its end."""
    ends = (State.DONE, State.STOPPED) if sweep.search else (State.DONE,)
    return all(key in outcomes and outcomes[key].state in ends for key in trial_ids)


def differences(run_dir: Path | str, name: str, uri: str | None) -> list[str]:
    """What MLflow has of sweep `name` that the store has not, or the other way round; one line each, none if equal.

    Every point of every metric of every run is compared, by value, step and time. Raises StoreError, TrackingError.
    """
    sweep = RunDirectory(run_dir).sweep(name)
    outcomes = RunDirectory(run_dir).outcomes((cell.trial_id for cell in sweep.cells), sweep=name)
    server = Server(tracking_uri_of(uri), create=False)
    runs: dict[tuple[str, str, str], list[RunFacts]] = {}
    for run in server.runs(f"tags.sweep = '{name}' AND tags.role = 'trial'"):
        key = (run.tags.get("row", ""), run.tags.get("seed", ""), run.tags.get("trial_id", ""))
        runs.setdefault(key, []).append(run)
    found = []
    for cell in sweep.cells:
        row, seed, trial_id = key_of(cell)
        here = runs.get((row, str(seed), trial_id), [])
        expected = expected_readings(run_dir, trial_id, outcomes.get(trial_id), linked=bool(here and is_link(here[0])))
        label = f"{row}, seed {seed} [{trial_id}]"
        if not here and (expected or trial_id in outcomes):
            found.append(f"{label}: no run")
        if len(here) > 1:
            found.append(f"{label}: {len(here)} runs instead of one")
        if here:
            found += [f"{label}: {line}" for line in compare(server, here[0], outcomes.get(trial_id), expected)]
    return found


def expected_readings(
    run_dir: Path | str, trial_id: str, record: AttemptRecord | None, *, linked: bool
) -> list[Reading]:
    """What the run of a trial is to hold, by the store."""
    config = RunDirectory(run_dir).trial_config(trial_id)
    if linked and record is not None:
        return link_readings(record, config)
    return trial_readings(RunDirectory(run_dir).points(trial_id), record, config)


def is_link(run: RunFacts) -> bool:
    """Whether the run stands for another one."""
    return REUSED in run.tags


def compare(server: Server, run: RunFacts, record: AttemptRecord | None, expected: Sequence[Reading]) -> Iterator[str]:
    """How a run differs from what it is to be."""
    if record is not None and run.status != STATUS[record.state]:
        yield f"{run.status} instead of {STATUS[record.state]}"
    held = Counter(comparable(item) for key in run.metrics for item in server.history(run.run_id, key))
    wanted = Counter(comparable(item._replace(key=fit_name(item.key))) for item in expected)
    for what, points in (("lacks", wanted - held), ("has besides", held - wanted)):
        names = [f"{key} {value} at step {step}" for key, step, _, value in list(points)[:LISTED]]
        more = f" and {len(points) - LISTED} more" if len(points) > LISTED else ""
        if names:
            yield f"MLflow {what} {', '.join(names)}{more}"


def comparable(reading: Reading) -> tuple[str, int, int, str]:
    """A point as what is equal for equal points; not a number is equal to itself."""
    value = "nan" if math.isnan(reading.value) else repr(reading.value)
    return reading.key, reading.step, milliseconds(reading.time), value
