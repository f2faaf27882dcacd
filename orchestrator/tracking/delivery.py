"""Delivery: what MLflow still lacks of one sweep, and the loop that delivers it.

The run directory is written first and has everything; this only follows it. A running sweep, one that catches up after
an outage and `python -m orchestrator sync` all call `round` until `finished`.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.errors import AccessError, OutageError, SweepError
from orchestrator.redaction import redacted
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.mirror import Mirror
from orchestrator.tracking.mlflow_store import Server
from orchestrator.workload.loading import WorkloadSource

__all__ = ["Delivery", "log_unexpected"]

logger = logging.getLogger(__name__)


class Delivery:
    """One sweep on its way to MLflow; used from one thread."""

    ATTEMPTS = 3
    """A trial that fails so often, although the server is up, is left out."""
    WRITE_DELAY_SECONDS = 6.0
    """An object store has a reported point at most so much later (`ChunkedPoints`)."""

    def __init__(
        self,
        directory: RunDirectory,
        name: str,
        live_table: Path | None = None,
        on_progress: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        workload: WorkloadSource | None = None,
    ) -> None:
        """Reads sweep `name`; raises StoreError. `on_progress` is called after each delivered trial.

        `workload`: as in `Mirror`.
        """
        self.workload = workload
        results = directory.results(name)
        self.directory = directory
        self.sweep = results.sweep
        self.outcomes = dict(results.outcomes)
        self.live_table = live_table
        self.on_progress = on_progress
        self.clock = clock
        self.mirror: Mirror | None = None
        """None until it is opened, and after an error: then the next round compares again."""
        self.compared = False
        """Whether `pending` holds all that MLflow lacked at the start."""
        self.running: set[str] = set()
        self.pending: dict[str, float] = {}
        """By id of each trial that MLflow lacks something of, when it changed."""
        self.refused: dict[str, Exception] = {}
        """Trials that were left out, with the last error."""
        self.failures: dict[str, int] = {}
        self.plan_changed = False
        self.ending: tuple[Mapping[str, Path], bool] | None = None
        self.finished = False
        self.pause_seconds = self.WRITE_DELAY_SECONDS if directory.files.remote else 0.0
        """Rounds that follow each other faster would find nothing new."""

    @property
    def results(self) -> SweepResults:
        """The sweep as known here."""
        return SweepResults(sweep=self.sweep, outcomes=self.outcomes)

    @property
    def lacking(self) -> str:
        """What MLflow lacks, or may lack as long as nothing was compared: `2 trials and the final table`."""
        trials = len({*self.pending, *self.refused, *(() if self.compared else self.outcomes)})
        parts = [f"{trials} trial{'s' if trials > 1 else ''}"] if trials else []
        return " and ".join(parts if self.finished else [*parts, "the final table"])

    @property
    def page(self) -> str:
        """Path of MLflow's page with the runs of the sweep; empty until something was compared, and after an error."""
        return self.mirror.sweep_run.page if self.mirror is not None else ""

    def trial_changed(self, trial_id: str, *, running: bool) -> None:
        """The run directory has something new about a trial, which is running or has ended."""
        if running:
            self.running.add(trial_id)
        else:
            self.running.discard(trial_id)
            self.outcomes.pop(trial_id, None)
        self.pending[trial_id] = self.clock()

    def finish(self, artifacts: Mapping[str, Path], *, completed: bool) -> None:
        """Nothing will change any more; `artifacts` are the tables, `completed` says whether every trial is done."""
        self.ending = (artifacts, completed)

    def round(self, server: Server) -> bool:
        """Deliver what is pending, then update or finish the sweep's run; returns whether every delivery succeeded.

        `server` is used where the last round failed, or none was. Raises AccessError and OutageError when nothing more
        can be delivered at present, and any other error that is not about a single trial.
        """
        mirror = self.mirror or self.open(server)
        self.mirror = None
        if self.plan_changed:
            self.adopt_plan()
            mirror.plan(self.sweep)
        failed = [trial_id for trial_id in list(self.pending) if not self.deliver(mirror, trial_id)]
        if self.ending is None or self.pending:
            mirror.sweep_run.refresh(self.results, self.running)
        else:
            artifacts, completed = self.ending
            mirror.finish(self.results, artifacts, completed=completed)
            self.finished = True
        self.mirror = None if failed else mirror
        return not failed

    def adopt_plan(self) -> None:
        """Read the plan as it has grown; added trials that another sweep has trained are pending."""
        known = {*self.sweep.trial_ids, *self.running}
        self.sweep = self.directory.sweep(self.sweep.name)
        self.plan_changed = False
        reused = self.directory.outcomes(
            [trial_id for trial_id in self.sweep.trial_ids if trial_id not in known], plan=self.sweep
        )
        self.outcomes.update(reused)
        self.pending.update(dict.fromkeys(reused, self.clock()))

    def open(self, server: Server) -> Mirror:
        """Compare MLflow with the run directory: what MLflow lacks becomes pending. `round` does this when necessary.

        Raises TrackingError, StoreError.
        """
        mirror = Mirror(server, self.directory, self.live_table, self.workload)
        for trial_id in (*mirror.open(self.results, self.running), *sorted(self.running)):
            if trial_id not in self.refused:
                self.pending.setdefault(trial_id, self.clock())
        self.mirror, self.compared = mirror, True
        return mirror

    def deliver(self, mirror: Mirror, trial_id: str) -> bool:
        """Deliver one trial; False when it failed for a reason of its own."""
        changed_at, read_at = self.pending[trial_id], self.clock()
        try:
            mirror.deliver(trial_id, self.record_of(trial_id))
        except (AccessError, OutageError):
            raise
        except Exception as error:
            log_unexpected(error)
            self.failures[trial_id] = self.failures.get(trial_id, 0) + 1
            if self.failures[trial_id] >= self.ATTEMPTS:
                self.refused[trial_id] = error
                del self.pending[trial_id]
            return False
        if trial_id not in self.running or read_at - changed_at >= self.pause_seconds:
            del self.pending[trial_id]
        self.failures.pop(trial_id, None)
        self.refused.pop(trial_id, None)
        self.on_progress()
        return True

    def record_of(self, trial_id: str) -> AttemptRecord | None:
        """The attempt that counts of a trial that has ended."""
        if trial_id in self.running:
            return None
        if trial_id not in self.outcomes:
            self.outcomes.update(self.directory.outcomes([trial_id], plan=self.sweep))
        return self.outcomes.get(trial_id)


def log_unexpected(error: Exception) -> None:
    """Log the traceback of an error; one that is not a SweepError is a defect, and its message may hold a secret."""
    level = logging.DEBUG if isinstance(error, SweepError) else logging.ERROR
    logger.log(level, "%s", redacted("".join(traceback.format_exception(error))))
