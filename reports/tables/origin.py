"""The code and the data behind a run: two runs are comparable where these are equal."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from orchestrator.store.records import AttemptRecord, State
from orchestrator.store.sweep_results import SweepResults

__all__ = ["Origin", "differ", "origins_of"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Code and data of one attempt; what its record does not say is empty."""

    commit: str
    diff: str
    """Digest of uncommitted changes; empty for a clean checkout."""
    data: str

    @classmethod
    def of(cls, record: AttemptRecord) -> Origin:
        """The origin of one attempt."""
        facts = record.environment
        return cls(facts.get("commit", ""), facts.get("diff") or facts.get("dirty", ""), facts.get("data", ""))

    @property
    def text(self) -> str:
        """For the notes: `commit 1a2b3c4 with changes d41d8c, data 9e107d9`."""
        code = f"commit {self.commit[:7] or 'unknown'}" + (f" with changes {self.diff[:7]}" if self.diff else "")
        return f"{code}, data {self.data[:7]}" if self.data else code


def origins_of(results: SweepResults) -> dict[str, frozenset[Origin]]:
    """By row label, the origins of its finished runs."""
    found: dict[str, set[Origin]] = {row.label: set() for row in results.sweep.rows}
    for run in results.sweep.cells:
        if results.state_of(run.trial_id) is State.DONE:
            found[run.row].add(Origin.of(results.outcomes[run.trial_id]))
    return {label: frozenset(origins) for label, origins in found.items()}


def differ(origins: Set[Origin]) -> bool:
    """Whether runs come from different code or data. A fact that a record lacks contradicts nothing."""
    known = [origin for origin in origins if origin.commit]
    return (
        len({origin.commit for origin in known}) > 1
        or len({origin.diff for origin in known}) > 1
        or len({origin.data for origin in origins if origin.data}) > 1
    )
