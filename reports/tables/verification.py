"""The line under a table that says how many of its records are what was written."""

from __future__ import annotations

from orchestrator.machine.first_few import first_few
from orchestrator.store.sweep_results import SweepResults

__all__ = ["verification_text"]

DAMAGED_NAMED = 3
"""The line names at most this many damaged files."""


def verification_text(results: SweepResults) -> str:
    """`15 of 15 records verified.`, and what is unverified or damaged; empty for results that were read from nowhere.

    The records are those of the attempts that count, of all trials that have one.
    """
    known = results.verification
    if known is None:
        return ""
    if known.copy:
        return f"Figures from {known.copy}, which holds a copy of the records: not verified."
    records = [trial_id for trial_id in results.sweep.trial_ids if trial_id in results.outcomes]
    unverified = sum(trial_id in known.without_digest for trial_id in records)
    verified = len(records) - unverified - len(results.damaged)
    parts = [f"{verified} of {len(records)} records verified"]
    if unverified or not known.plan:
        things = [f"{unverified} record{'s' if unverified > 1 else ''}"] if unverified else []
        things += [] if known.plan else ["the plan"]
        parts.append(f"{' and '.join(things)} unverified (written without a digest)")
    if results.damaged:
        reasons = [record.error.message for record in results.damaged if record.error is not None]
        parts.append(f"not used: {first_few(reasons, DAMAGED_NAMED)}")
    return f"{'; '.join(parts)}."
