"""Tracker: something that is told of a sweep from its first moment to its last, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from orchestrator.running.executors.base import Listener
from orchestrator.store.records import AttemptRecord, SweepRecord

__all__ = ["Tracker"]


class Tracker(Listener, Protocol):
    """Mirrors a sweep somewhere. Between `begin` and `finish` come the calls of `Listener`."""

    def begin(self, sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord]) -> None:
        """The sweep starts; `outcomes` holds what earlier runs already brought, by trial id."""

    def planned(self, sweep: SweepRecord) -> None:
        """A search added to the plan; before `begin` for what earlier runs drew."""

    def finish(self, outcomes: Mapping[str, AttemptRecord], artifacts: Mapping[str, Path], completed: bool) -> None:
        """The sweep is over: all outcomes, the files written for it, and whether every trial is done."""
