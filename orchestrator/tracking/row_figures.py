"""Figures of rows in MLflow: means on the run of the sweep, and on each child run its difference to the baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import PlannedRun, SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.row_means import RowMeans, shown_metric

__all__ = ["DIFFERENCE", "Baseline", "difference_name", "row_means"]

DIFFERENCE = "difference/"
"""Start of the name of a child run's metric: its figure minus that of the baseline with the same seed and data."""
MEAN, STD, SEEDS, BEST = "mean/", "std/", "seeds/", "best/"
"""Starts of the names of a sweep's metrics, each followed by a row; `best/` by the metric of the table."""
MOST_ROWS = 100
"""A sweep of more rows, and a search, whose rows grow in number, have the best figure so far only."""

DIGITS = 6
"""Decimals of a difference, so that it fits a column."""
REPORTED = "final/"


def difference_name(sweep: SweepRecord) -> str:
    """`difference/miou` for `final/miou`."""
    return DIFFERENCE + shown_metric(sweep).name.removeprefix(REPORTED)


def figure_of(record: AttemptRecord | None, metric: str) -> float | None:
    """The figure of a trial; None unless it is done and has one."""
    return record.metrics.get(metric) if record is not None and record.state is State.DONE else None


class Baseline:
    """The trials with which those of the other rows are compared, seed by seed and on the same data."""

    def __init__(self, sweep: SweepRecord) -> None:
        """Of a sweep without a baseline nothing is compared."""
        self.metric = shown_metric(sweep).name
        trials = {(run.seed, run.data): run.trial_id for run in sweep.cells if run.row == sweep.baseline}
        self.compared: dict[str, list[PlannedRun]] = {}
        """By trial of the baseline, the planned runs that are compared with it."""
        self.trials: dict[PlannedRun, str] = {}
        """By planned run of another row, the trial of the baseline."""
        for run in sweep.cells:
            trial_id = trials.get((run.seed, run.data))
            if trial_id is not None and run.row != sweep.baseline:
                self.trials[run] = trial_id
                self.compared.setdefault(trial_id, []).append(run)

    def difference(self, planned: PlannedRun, outcomes: Mapping[str, AttemptRecord]) -> float | None:
        """The figure of a planned run minus its baseline's; None for the baseline itself and while one is unknown."""
        own = figure_of(outcomes.get(planned.trial_id), self.metric)
        base = figure_of(outcomes.get(self.trials.get(planned, "")), self.metric)
        return None if own is None or base is None else round(own - base, DIGITS)


def row_means(results: SweepResults) -> dict[str, float]:
    """Mean, sample standard deviation and number of seeds of each row by name of a metric; or the best row so far.

    Rows are numbered as in the plan, so that MLflow, which sorts by name, lists them in that order.
    """
    means = RowMeans(results.sweep, results.outcomes)
    rows = means.rows()
    if results.sweep.is_search or len(rows) > MOST_ROWS:
        best = means.best_first()[0].mean if rows else None
        return {} if best is None else {BEST + means.metric.name: best}
    digits = len(str(len(rows)))
    found = {}
    for number, row in enumerate(rows, start=1):
        name = f"{number:0{digits}d} {readable(row.title)}"
        if row.mean is not None:
            found[MEAN + name] = row.mean
            found[SEEDS + name] = float(len(row.values))
        if row.std is not None:
            found[STD + name] = row.std
    return found


def readable(title: str) -> str:
    """A row as part of a metric's name, in the characters that MLflow accepts: `pixel and region memory`."""
    text = title.replace("w/o ", "without ").replace("+", " and ").replace("/", "-")
    return " ".join(re.sub(r"[^\w.\- ]+", " ", text).split())
