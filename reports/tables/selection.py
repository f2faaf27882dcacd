"""What was chosen, and on which split: the notes that a search needs."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.store.records import SweepRecord

__all__ = ["prior_notes"]


def prior_notes(sweep: SweepRecord) -> Iterator[str]:
    """That the sampler of a search knew trials that are no rows of the table."""
    count = len(sweep.search.get("prior", ()))
    if count:
        trials = f"{count} finished trials" if count > 1 else "one finished trial"
        yield f"The sampler also learned from {trials} of an earlier version of this search, which are not shown."
