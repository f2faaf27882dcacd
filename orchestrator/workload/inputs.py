"""Inputs: what a trial reads besides its config, with the digest that enters its id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.workload.data_record import DataRecord

__all__ = ["Inputs", "Remember", "forget"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What trials read besides their config: data sets, word lists, a script."""

    digest: str = ""
    """A hash of the content; part of the id of each trial that reads it. Empty: nothing is read."""
    record: DataRecord | None = None
    """What the plan records and the provenance of a table shows; None: nothing."""
    val_overlaps_test: bool = False
    """Whether what `val/...` and `final/...` are measured on overlaps: then nothing may be chosen by `val/...`."""
    val_overlaps_train: bool = False
    """Whether what `val/...` is measured on is also trained on."""
    facts: Any = None
    """Whatever the workload wants to know again in its other members, such as the number of classes."""


class Remember(Protocol):
    """Keeps slow results between commands, in a cache that may be lost at any time."""

    def __call__(self, key: str, compute: Callable[[], str], *, file: str = "digests.json") -> str:
        """The result that is kept in `file` for `key`, or else that of `compute`.

        The key must change with whatever changes the result.
        """
        ...


def forget(key: str, compute: Callable[[], str], *, file: str = "") -> str:
    """A `Remember` that keeps nothing."""
    del key, file
    return compute()
