"""What trials are functions of, compared field by field; and which finished trial is the closest to one.

Axes: R configurations of finished trials, seeds left out; K keys in which these differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.machine.json_digest import json_text

__all__ = ["FinishedTrials", "Identity"]

ABSENT = "not set"
SEED = "seed"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a trial's id is a function of: its config by dotted key, `data` (a digest) and `result_version`."""

    trial_id: str
    content: Mapping[str, Any]

    def differences(self, other: Identity) -> dict[str, tuple[Any, Any]]:
        """For each key that differs, the value in `other` and the value here."""
        keys = sorted(self.content.keys() | other.content.keys())
        pairs = {key: (other.content.get(key, ABSENT), self.content.get(key, ABSENT)) for key in keys}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    @cached_property
    def without_seed(self) -> str:
        """Equal for trials that differ in their seed at most."""
        return json_text({key: value for key, value in self.content.items() if key != SEED})


class FinishedTrials:
    """The finished trials of a run directory."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self.by_id = {item.trial_id: item for item in identities}
        self.repeated: dict[str, list[Identity]] = {}
        """Those that differ in their seed only."""
        for item in self.by_id.values():
            self.repeated.setdefault(item.without_seed, []).append(item)
        self.groups = list(self.repeated.values())
        self.configurations = [items[0].content for items in self.groups]
        keys = dict.fromkeys(key for content in self.configurations for key in content if key != SEED)
        self.codes = {key: codes for key in keys if len(codes := self.codes_of(key)) > 1}
        """By key and value, its place in `codes_RK`, of the keys that are not the same everywhere."""
        rows = [self.coded(content) for content in self.configurations]
        self.codes_RK = np.array(rows, dtype=np.int32).reshape(len(rows), len(self.codes))

    def codes_of(self, key: str) -> dict[str, int]:
        """A number for each value of `key`."""
        texts = dict.fromkeys(repr(content.get(key, ABSENT)) for content in self.configurations)
        return {text: number for number, text in enumerate(texts)}

    def coded(self, content: Mapping[str, Any]) -> npt.NDArray[np.int32]:
        """The numbers of the values in `content`, [K]; -1 for one that no finished trial has."""
        found = [codes.get(repr(content.get(key, ABSENT)), -1) for key, codes in self.codes.items()]
        return np.array(found, dtype=np.int32)

    def other_seed(self, trial: Identity) -> Identity | None:
        """A trial that differs from `trial` in its seed only."""
        return next(
            (item for item in self.repeated.get(trial.without_seed, ()) if item.trial_id != trial.trial_id), None
        )

    def nearest(self, trial: Identity) -> Identity:
        """The trial that differs in the fewest keys, with the same seed if there is one; of several the first.

        `trial` is none of them, and there must be one.
        """
        differing_R = (self.codes_RK != self.coded(trial.content)).sum(axis=1)
        found = self.groups[int(differing_R.argmin())]
        return next((item for item in found if item.content.get(SEED) == trial.content.get(SEED)), found[0])
