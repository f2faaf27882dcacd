"""SequentialSeeds: further seeds for rows that do not differ clearly from the baseline (`seeds: {until: decided}`).

All rows get the first seeds. When every planned trial has ended, the undecided rows and the baseline get the next seed,
until all rows are decided or the last seed is used. `reports` decides which rows are undecided, and corrects its tests
for the repeated looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from orchestrator.planning.adaptive.base import GrowingPlan
from orchestrator.planning.plan import SweepPlan, Trial, seeded_trials
from orchestrator.spec.blocks import Until
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.sweep_record import PlannedRun
from orchestrator.store.sweep_results import SweepResults

__all__ = ["SequentialSeeds"]


class SequentialSeeds(GrowingPlan):
    """The plan of an ablation or a grid that grows by seeds; equal outcomes always lead to equal seeds."""

    exhausted = False

    def __init__(self, plan: SweepPlan, until: Until, open_rows: Callable[[SweepResults], set[str]]) -> None:
        """`open_rows` gives the labels of the rows that further seeds may decide."""
        self.record = plan.record
        self.trials = {trial.trial_id: trial for trial in plan.trials}
        self.open_rows = open_rows
        self.ended_ids: set[str] = set()
        self.waiting: list[Trial] = []
        by_row = {run.row: self.trials[run.trial_id] for run in plan.record.cells}
        self.seeded = {
            (row, seeded.config.seed): seeded
            for row, trial in by_row.items()
            for seeded in seeded_trials(trial.config, range(until.last), trial.data_digest)
        }
        self.until = until

    @property
    def candidates(self) -> Mapping[str, Trial]:
        """All rows with all seeds that they may get."""
        return {trial.trial_id: trial for trial in self.seeded.values()}

    def resume(self, outcomes: Mapping[str, AttemptRecord]) -> list[Trial]:
        """Take the looks that the outcomes allow; returns the trials that the next look needs."""
        self.ended_ids = {key for key, record in outcomes.items() if self.record.ends_trial(record.state)}
        self.look(outcomes)
        needed, self.waiting = self.waiting, []
        return needed

    def next_trial(self, outcomes: Mapping[str, AttemptRecord]) -> Trial | None:
        """The next trial of the seed that is being added; None until its last trial has ended, and at the end."""
        if not self.waiting:
            self.look(outcomes)
        return self.waiting.pop(0) if self.waiting else None

    def look(self, outcomes: Mapping[str, AttemptRecord]) -> None:
        """If every planned trial has ended: see which rows are undecided, and plan one more seed for them."""
        while not self.waiting and not self.exhausted and self.trials.keys() <= self.ended_ids:
            seed = len(self.record.seeds)
            results = SweepResults(sweep=self.record, outcomes=outcomes)
            rows = self.open_rows(results) if seed < self.until.last else set()
            if not rows:
                self.exhausted = True
                return
            self.add_seed(rows | {self.record.baseline or ""}, seed)

    def add_seed(self, rows: set[str], seed: int) -> None:
        """Add a seed of some rows to the plan."""
        runs = []
        for row in self.record.rows:
            if row.label not in rows:
                continue
            trial = self.seeded[row.label, seed]
            runs.append(PlannedRun(row=row.label, seed=seed, trial_id=trial.trial_id))
            if trial.trial_id not in self.trials:
                self.trials[trial.trial_id] = trial
                self.waiting += [] if trial.trial_id in self.ended_ids else [trial]
        self.record = replace(self.record, seeds=(*self.record.seeds, seed), cells=(*self.record.cells, *runs))

    def ended(self, trial_id: str, record: AttemptRecord) -> None:
        """A trial has ended and will not be retried."""
        self.ended_ids.add(trial_id)
