"""Varied settings: what the rows of a sweep set differently, as parameters of their MLflow runs under short names.

What all rows have in common is logged once, on the run of the sweep.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from orchestrator.store.sweep_record import PlannedRun, SweepRecord

__all__ = ["UNUSED", "VariedSettings", "as_text", "parameter_names"]

UNUSED = "–"
"""Logged for a setting without effect whose values are words: MLflow's parallel coordinates leave out a run that lacks
one of its axes. An axis of numbers could not show it, so there the setting is left out."""

NOT_SET = "not set"
"""Logged for a setting whose values are words in a run that leaves it as it is implied, for the same reason."""

OWN = ("sweep", "row", "seed", "data_set")
"""Parameters and tags of each run besides those of settings."""


def parameter_names(sweep: SweepRecord) -> dict[str, str]:
    """By dotted key, the parameter of each setting that differs between rows, or that a search draws.

    Its name is the key without the first block, `memory.kind` for `contrast.memory.kind`, in whatever sweep; the whole
    key where two would look alike.
    """
    levels: dict[str, set[str]] = {}
    for place, row in enumerate(sweep.rows):
        for key, value in row.factors.items():
            levels.setdefault(key, {""} if place else set()).add(as_text(value))
        for key in levels.keys() - row.factors.keys():
            levels[key].add("")
    drawn = [str(parameter["key"]) for parameter in sweep.search.get("parameters", ())]
    keys = list(dict.fromkeys([*drawn, *(key for key, texts in levels.items() if len(texts) > 1)]))
    short = {key: key.partition(".")[2] or key for key in keys}
    counts = Counter([*short.values(), *OWN])
    return {key: name if counts[name] == 1 else key for key, name in short.items()}


class VariedSettings:
    """The varied settings of a sweep, looked up once: a grid may have 10,000 rows."""

    def __init__(self, sweep: SweepRecord) -> None:
        self.sweep = sweep
        self.names = parameter_names(sweep)
        self.factors = {row.label: row.factors for row in sweep.rows}
        self.words = {key for row in sweep.rows for key, value in row.factors.items() if isinstance(value, (str, bool))}
        """Keys that a row sets to a text, or switches on or off."""

    def parameters(self, planned: PlannedRun, config: Mapping[str, Any]) -> dict[str, str]:
        """Those of a planned run: its row, seed and data set, and the varied settings that have an effect in it.

        `config` is the trial's canonical configuration.
        """
        sweep, factors = self.sweep, self.factors.get(planned.row, {})
        found = {"row": planned.row, "seed": str(planned.seed)}
        if planned.data:
            found["data_set"] = planned.data
        unused = sweep.unused.get(planned.row, ())
        only_drawn = sweep.is_search and planned.row != sweep.baseline  # what is not drawn has no effect
        for key, name in self.names.items():
            value = factors.get(key, None if only_drawn else config.get(key, sweep.settings.get(key)))
            if key in unused:
                if key in self.words:
                    found[name] = UNUSED
            elif value is not None:
                found[name] = as_text(value)
            elif key in self.words and not only_drawn:
                found[name] = NOT_SET
        return found


def as_text(value: Any) -> str:
    """A config value as a person would type it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
