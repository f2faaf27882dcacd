"""TrialSelection: some trials of a sweep instead of all."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import SweepError
from orchestrator.planning.plan import SweepPlan

__all__ = ["TrialSelection"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSelection:
    """The trials that `--only ROW` and `--trial ID` select."""

    rows: tuple[str, ...] = ()
    """Labels."""
    trials: tuple[str, ...] = ()
    """Ids, or prefixes of ids."""

    def of(self, plan: SweepPlan) -> frozenset[str]:
        """Ids of the selected trials of `plan`. Raises SweepError for a row or an id that it does not have."""
        labels = {row.label for row in plan.record.rows}
        for row in self.rows:
            if row not in labels:
                raise SweepError(f"--only {row}: no such row; there are: {', '.join(sorted(labels))}")
        found = {run.trial_id for run in plan.record.cells if run.row in self.rows}
        for text in self.trials:
            matching = {trial.trial_id for trial in plan.trials if trial.trial_id.startswith(text)}
            if len(matching) != 1:
                what = "no trial of this sweep has" if not matching else f"{len(matching)} trials have"
                raise SweepError(f"--trial {text}: {what} this id; `--dry-run --json` lists them")
            found |= matching
        return frozenset(found)
