"""Sweeps and their results from MLflow alone, for machines that cannot reach the run directory."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.errors import StoreError
from orchestrator.machine.json_text import parse_json
from orchestrator.store.attempt_record import AttemptRecord, ErrorRecord, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults, Verification, find_name
from orchestrator.tracking.mlflow_limits import read_name
from orchestrator.tracking.mlflow_store import FULL_TEXT, RunFacts, Server
from orchestrator.tracking.row_figures import DIFFERENCE
from orchestrator.tracking.trial_run import ENVIRONMENT, LARGEST, RESOURCES, REUSED

__all__ = ["load_from_mlflow", "tracked_runs"]


def load_from_mlflow(uri: str, name: str, *, exact: bool = True) -> SweepResults:
    """The results of sweep `name`, as `load_sweep` reads them from a run directory.

    Unless `exact`, `name@...` or `name+...` is meant if that is the only sweep of that name. Raises StoreError when
    there is no such sweep or several match, TrackingError when MLflow cannot be read.
    """
    server = Server(uri, create=False)
    parents: dict[str, RunFacts] = {}
    for run in server.runs("tags.role = 'sweep'"):
        parents.setdefault(run.tags.get("sweep", ""), run)
    found = name if exact else find_name(name, parents, server.name)
    if found not in parents:
        known = f"there are: {', '.join(sorted(parents))}" if parents else "it has no sweep yet"
        raise StoreError(
            f"{server.name}: no sweep {name!r}; {known}. `python -m orchestrator sync` writes sweeps to MLflow"
        )
    try:
        sweep = SweepRecord.from_json(parse_json(server.read_text(parents[found].run_id, "sweep.json")))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{server.name}: sweep.json of {found!r} is not of this version ({error})") from error
    return SweepResults(sweep=sweep, outcomes=read_runs(server, sweep), verification=Verification(copy="MLflow"))


def tracked_runs(uri: str, sweep: SweepRecord) -> dict[str, tuple[str, str]]:
    """By trial id, id and URL (empty without a server) of its MLflow run. Raises TrackingError without MLflow."""
    server = Server(uri, create=False)
    found: dict[str, tuple[str, str]] = {}
    for run in server.runs(f"tags.sweep = '{sweep.name}' AND tags.role = 'trial'"):
        trial_id = run.tags.get("trial_id", "")
        if trial_id not in found or REUSED not in run.tags:
            page = f"{server.name.rstrip('/')}/#/experiments/{server.experiment}/runs/{run.run_id}"
            found[trial_id] = (run.run_id, page if server.name.startswith("http") else "")
    return found


def read_runs(server: Server, sweep: SweepRecord) -> dict[str, AttemptRecord]:
    """The outcomes of a sweep's trials; a run that reuses another gets the other's curves and figures."""
    planned = {(cell.row, str(cell.seed), cell.trial_id) for cell in sweep.cells}
    runs: dict[str, RunFacts] = {}
    for run in server.runs(f"tags.sweep = '{sweep.name}' AND tags.role = 'trial'"):
        trial_id = run.tags.get("trial_id", "")
        ended = "state" in run.tags and (run.tags.get("row"), run.tags.get("seed"), trial_id) in planned
        if ended and (trial_id not in runs or REUSED in runs[trial_id].tags):
            runs[trial_id] = run
    outcomes = {}
    for trial_id, run in runs.items():
        full = server.run(run.tags[REUSED]) if REUSED in run.tags else run
        try:
            outcomes[trial_id] = record_of(server, trial_id, run, full)
        except (ValueError, KeyError, TypeError) as error:
            remedy = "delete this run, then `python -m orchestrator sync` writes it again"
            raise StoreError(f"{server.name}: run {run.run_id}: its tags are damaged ({error}); {remedy}") from error
    return outcomes


def record_of(server: Server, trial_id: str, run: RunFacts, full: RunFacts) -> AttemptRecord:
    """The attempt of a run; `full` is the run with its curves."""
    tags = run.tags
    kind = tags.get("failure_kind", "")
    message = tags.get("failure", "").removeprefix(f"{kind}: ")
    error = ErrorRecord(kind=kind, message=message, signature=tags.get("failure_signature", "")) if kind else None
    known = {key: tags[key] for key in ("commit", "host", "device") if key in tags}
    return AttemptRecord(
        trial_id=trial_id,
        attempt=int(tags.get("attempt", 1)),
        state=State(tags["state"]),
        started_at=run.started_at,
        ended_at=run.ended_at,
        metrics=metrics_of(server, full) | metrics_of(server, run),
        error=error,
        environment=known | below(tags, ENVIRONMENT),
        resources={key: float(value) for key, value in below(tags, RESOURCES).items()},
    )


def below(tags: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The tags that start with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in tags.items() if key.startswith(prefix)}


def metrics_of(server: Server, run: RunFacts) -> dict[str, float]:
    """The metrics of a run's record: its last values, without its difference and those that only its curves have."""
    aside = set(parse_json(run.tags.get("curve_only", "[]")))
    kept = (key for key in run.metrics if key not in aside and not key.startswith(DIFFERENCE))
    values = {key: run.metrics[key] for key in kept}
    cut = full_names(server, run.run_id) if any(read_name(key) is None for key in values) else {}
    return {read_name(key) or cut.get(key, key): restored(value) for key, value in values.items()}


def full_names(server: Server, run_id: str) -> dict[str, str]:
    """Metric names that were too long for MLflow, by the shortened name it holds."""
    names = {}
    for path in server.artifacts(run_id, FULL_TEXT):
        whole = parse_json(server.read_text(run_id, path))
        names[whole["as"]] = whole["name"]
    return names


def restored(value: float) -> float:
    """The value before it was stored: MLflow keeps infinity as its largest number."""
    return math.copysign(math.inf, value) if abs(value) >= LARGEST else value
