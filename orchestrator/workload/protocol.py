"""Workload: the code that trains, as the orchestrator sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.workload.extras import Extras
from orchestrator.workload.inputs import Inputs, Remember
from orchestrator.workload.metric import Metric
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.trial_result import Progress, TrialResult

__all__ = ["Workload"]


class Workload(Protocol):
    """The code that trains. Implement it by a class of your own; to inherit from this one is optional.

    Importing the module of a workload, and all members but `train`, should need no torch: planning calls them, and it
    plans thousands of trials in seconds.
    """

    config_type: type[Any]
    """A frozen, keyword-only dataclass with a field `seed: int`. Each of its other fields has a default and is a key of
    search spaces. Its blocks are such dataclasses as well; `orchestrator.workload.fields` has markers for fields."""
    result_version: int
    """Raised by hand when equal configs would give other results than before; part of every trial's id."""
    metrics: Sequence[Metric]
    """All metrics that trials report. The first is the main one: it ranks tables and is watched in running trials."""

    def check(self, config: Any) -> None:
        """Refuse a config that cannot be trained: ValueError `key: message`, with one argument for each mistake.

        What `__post_init__` of the dataclass refuses is refused in the same way, before.
        """
        ...

    def inputs(self, config: Any, remember: Remember) -> Inputs:
        """What a trial of this config reads, such as its data set. Slow results go through `remember`.

        Raises ValueError `key: message` when something is missing or wrong.
        """
        ...

    def describe(self, rows: Sequence[tuple[Any, Inputs]], seeds: str) -> str:
        """How the figures of these configs were measured, for the caption of the table, without its full stop.

        `seeds` is `seeds 0-4`. `orchestrator.workload.same_or_varied` names what differs between rows.
        """
        ...

    def train(self, config: Any, runtime: Runtime, workdir: Path, progress: Progress) -> TrialResult:
        """Train a trial in `workdir`, resuming from what an earlier attempt has left there.

        An attempt may end at any time without a chance to say so. Whatever this raises becomes part of the record of
        the attempt; an exception class named DivergedError, DataError or OutOfMemoryError says what kind of failure it
        is. What `progress` raises must pass.
        """
        ...

    extras: Extras = Extras()
    """The optional parts."""
