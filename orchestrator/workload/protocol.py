"""Workload: the code that trains, as the orchestrator sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from orchestrator.workload.caption import describe_settings
from orchestrator.workload.extras import Extras
from orchestrator.workload.inputs import Inputs, Remember
from orchestrator.workload.metric import Metric
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.trial_result import Progress, TrialResult

__all__ = ["Workload"]


class Workload(Protocol):
    """The code that trains. Implement it by a class of your own.

    One that inherits from this class needs `config_type`, `result_version`, `metrics` and `train` only.

    Importing the module of a workload, and all members but `train`, should need no torch: planning calls them, and it
    plans thousands of trials in seconds.
    """

    config_type: type[Any]
    """A frozen, keyword-only dataclass with a field `seed: int`. Each of its other fields has a default and is a key of
    search spaces. Its blocks are such dataclasses as well; `orchestrator.workload.fields` has markers for fields. A
    method `normalised()`, where it has one, returns the same computation with every field without effect at its
    default, so that rows which compute the same share a trial."""
    result_version: int
    """Raised by hand when equal configs would give other results than before; part of every trial's id."""
    metrics: Sequence[Metric]
    """All metrics that trials report. The first is the main one: it ranks tables and is watched in running trials."""

    def check(self, config: Any) -> None:
        """Refuse a config that cannot be trained: ValueError `key: message`, with one argument for each mistake.

        What `__post_init__` of the dataclass refuses is refused in the same way, before. By default nothing else is.
        """

    def inputs(self, config: Any, remember: Remember) -> Inputs:
        """What a trial of this config reads, such as its data set. Slow results go through `remember`.

        Raises ValueError `key: message` when something is missing or wrong. By default nothing is read.
        """
        return Inputs()

    def describe(self, rows: Sequence[tuple[Any, Inputs]], seeds: str, data: str = "") -> str:
        """How the figures of these configs were measured, for the caption of the table, without its full stop.

        `seeds` is `seeds 0–4`. `data` says what the data is, in a sweep over several data sets only.
        `orchestrator.workload.same_or_varied` names what differs between rows. By default it is the first line of the
        docstring of the class, or its name, and the settings that all rows share.
        """
        title = (type(self).__doc__ or type(self).__name__).strip().splitlines()[0].rstrip(".")
        return ", ".join(filter(None, (title, data, describe_settings([config for config, _ in rows]), seeds)))

    def train(self, config: Any, runtime: Runtime, workdir: Path, progress: Progress) -> TrialResult:
        """Train a trial in `workdir`, resuming from what an earlier attempt has left there.

        An attempt may end at any time without a chance to say so. Whatever this raises becomes part of the record of
        the attempt; an exception class named DivergedError, DataError or OutOfMemoryError says what kind of failure it
        is. What `progress` raises must pass.
        """
        ...

    extras: Extras = Extras()
    """The optional parts."""
