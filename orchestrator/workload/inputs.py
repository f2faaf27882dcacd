"""Inputs: what a trial reads besides its config, with the digest that enters its id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.workload.data_record import DataRecord

__all__ = ["Inputs", "Overlap", "Remember", "forget"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Two splits that share examples."""

    text: str
    """What a metric of the validation split is measured on: `is measured on 'val', and the reported split is 'val'`."""
    remedy: str
    """What a user writes instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What trials read besides their config: data sets, word lists, a script."""

    digest: str = ""
    """A hash of the content; part of the id of each trial that reads it. Empty: nothing is read."""
    title: str = ""
    """The name of the data set in captions, where it has one of its own: `CamVid`."""
    record: DataRecord | None = None
    """What the plan records and the provenance of a table shows; None: nothing."""
    val_overlaps_test: Overlap | None = None
    """That `val/...` and `final/...` are measured on the same examples, so that nothing may be chosen by `val/...`."""
    val_overlaps_train: Overlap | None = None
    """That `val/...` is measured on examples that are trained on."""
    facts: Any = None
    """Whatever the workload wants to know again in its other members, such as the number of classes."""


class Remember(Protocol):
    """Keeps slow results between commands, in a cache that may be lost at any time."""

    def __call__(self, key: str, compute: Callable[[], str], *, file: str = "digests.json", what: str = "") -> str:
        """The result that is kept in `file` for `key`, or else that of `compute`.

        The key must change with whatever changes the result. `what` tells a user what is computed if it takes long:
        `camvid: reading every image and label, once`.
        """
        ...


def forget(key: str, compute: Callable[[], str], *, file: str = "", what: str = "") -> str:
    """A `Remember` that keeps nothing."""
    del key, file, what
    return compute()
