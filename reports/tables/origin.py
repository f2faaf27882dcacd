"""The code and the data behind a run: two runs are comparable where these are equal."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults

__all__ = ["Origin", "codes_differ", "differ", "origins_of", "seeds_of_other_code"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Code and data of one attempt; what its record does not say is empty."""

    commit: str
    diff: str
    """Digest of uncommitted changes; empty for a clean checkout."""
    data: str
    code: str = ""
    """Digest of the trainer's code; for code proven equal to that of the plan, the plan's."""
    other_code: bool = False
    """Its code is neither that of the plan nor proven equal."""

    @classmethod
    def of(cls, record: AttemptRecord, sweep: SweepRecord | None = None) -> Origin:
        """The origin of one attempt, in the plan `sweep`."""
        facts, code = record.environment, record.code
        equal = sweep is None or sweep.equals_code(code)
        shown = sweep.code[0] if sweep is not None and sweep.code and code and equal else code
        diff = facts.get("diff") or facts.get("dirty", "")
        return kept(facts.get("commit", ""), diff, facts.get("data", ""), shown, not equal)

    @property
    def text(self) -> str:
        """For the notes: `commit 1a2b3c4 with changes d41d8c, trainer 8d1f2a3, data 9e107d9`."""
        code = f"commit {self.commit[:7] or 'unknown'}" + (f" with changes {self.diff[:7]}" if self.diff else "")
        trainer = f", trainer {self.code[:7]}" if self.code else ""
        return f"{code}{trainer}, data {self.data[:7]}" if self.data else f"{code}{trainer}"


kept = lru_cache(maxsize=1024)(Origin)
"""One object for equal origins: the trials of a sweep have few."""


def origins_of(results: SweepResults) -> dict[str, frozenset[Origin]]:
    """By row label, the origins of its finished runs."""
    found: dict[str, set[Origin]] = {row.label: set() for row in results.sweep.rows}
    for run in results.sweep.cells:
        record = results.outcomes.get(run.trial_id)
        if record is not None and record.state is State.DONE:
            found[run.row].add(Origin.of(record, results.sweep))
    return {label: frozenset(origins) for label, origins in found.items()}


def seeds_of_other_code(results: SweepResults) -> dict[str, tuple[int, ...]]:
    """By label of the rows that have some, the seeds that code other than the plan's has computed."""
    found: dict[str, tuple[int, ...]] = {}
    for run in results.sweep.cells:
        record = results.outcomes.get(run.trial_id)
        if record is not None and record.state is State.DONE and not results.sweep.equals_code(record.code):
            found[run.row] = (*found.get(run.row, ()), run.seed)
    return found


def differ(origins: Set[Origin]) -> bool:
    """Whether runs come from different code or data. A fact that a record lacks contradicts nothing.

    Where the trainer's code is known, the commit does not matter.
    """
    return codes_differ(origins) or len({origin.data for origin in origins if origin.data}) > 1


def codes_differ(origins: Set[Origin]) -> bool:
    """Whether runs come from different code."""
    if all(origin.code for origin in origins):
        return len({origin.code for origin in origins}) > 1
    known = [origin for origin in origins if origin.commit]
    return len({origin.commit for origin in known}) > 1 or len({origin.diff for origin in known}) > 1
