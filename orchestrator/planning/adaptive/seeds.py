"""SequentialSeeds: more seeds for the rows that are not told apart from the baseline yet (`seeds: {until: decided}`).

All rows get the first seeds. Whenever every promised trial is over, the rows whose comparison is still open get the
next seed, and the baseline with them, until all are decided or the last seed is used. What counts as decided, and the
correction for looking again and again, is the reports' business (`reports.stats.looks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from orchestrator.planning.identity import trial_id
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.spec.blocks import Until
from orchestrator.store.records import AttemptRecord, PlannedRun, Point, State
from orchestrator.store.sweep_results import SweepResults

__all__ = ["SequentialSeeds"]

OpenRows = Callable[[SweepResults], set[str]]
"""Labels of the rows that further seeds may decide (`reports.tables.sequential.open_rows`)."""


class SequentialSeeds:
    """Grows the plan of an ablation or a grid by seeds. The same outcomes always lead to the same seeds."""

    def __init__(self, plan: SweepPlan, until: Until, open_rows: OpenRows) -> None:
        self.record = plan.record
        self.trials = {trial.trial_id: trial for trial in plan.trials}
        self.open_rows = open_rows
        self.exhausted = False
        self.over: set[str] = set()
        self.waiting: list[Trial] = []
        by_row = {cell.row: self.trials[cell.trial_id] for cell in plan.record.cells}
        self.seeded = {
            (row, seed): with_seed(trial, seed) for row, trial in by_row.items() for seed in range(until.last)
        }
        self.until = until

    @property
    def candidates(self) -> Mapping[str, Trial]:
        """All rows with all seeds they may get."""
        return {trial.trial_id: trial for trial in self.seeded.values()}

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Go through the looks that the outcomes allow; returns the trials that the next look needs."""
        self.over = {key for key, record in outcomes.items() if record.state is State.DONE}
        self.look(outcomes)
        found, self.waiting = self.waiting, []
        return found

    def draw(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """The next trial of the seed that is being added; None while the last one runs, and at the end."""
        if not self.waiting:
            self.look(outcomes)
        return self.waiting.pop(0) if self.waiting else None

    def look(self, outcomes: Mapping[str, AttemptRecord]) -> None:
        """If every promised trial is over: see which rows are open, and promise them one more seed."""
        while not self.waiting and not self.exhausted and self.trials.keys() <= self.over:
            seed = len(self.record.seeds)
            results = SweepResults(sweep=self.record, outcomes=outcomes)
            rows = self.open_rows(results) if seed < self.until.last else set()
            if not rows:
                self.exhausted = True
                return
            self.promise(rows | {self.record.baseline or ""}, seed)

    def promise(self, rows: set[str], seed: int) -> None:
        """Put a seed of some rows into the plan."""
        cells = []
        for row in self.record.rows:
            if row.label not in rows:
                continue
            trial = self.seeded[row.label, seed]
            cells.append(PlannedRun(row=row.label, seed=seed, trial_id=trial.trial_id))
            if trial.trial_id not in self.trials:
                self.trials[trial.trial_id] = trial
                self.waiting += [] if trial.trial_id in self.over else [trial]
        self.record = replace(self.record, seeds=(*self.record.seeds, seed), cells=(*self.record.cells, *cells))

    def stops(self, trial_id: str, point: Point) -> bool:
        """Never: a table compares whole trials."""
        return False

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """One of the promised trials is over."""
        self.over.add(trial_id)


def with_seed(trial: Trial, seed: int) -> Trial:
    """The same trial with another seed."""
    config = replace(trial.config, seed=seed)
    return replace(trial, trial_id=trial_id(config, trial.data_digest), config=config)
