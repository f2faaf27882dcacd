"""RecordedStudy: what the plan in the run directory says about the study of a search.

The plan lists the trials that were drawn, with their values; the records of these trials hold their outcomes. Nothing
else is kept of a study. A draw is one entry: the plan is replaced as a whole before the trial starts.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import StoreError
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.store.keys import sweep_key
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.workload.fields import location_keys, renamed_keys

__all__ = ["RecordedStudy", "Suggestion", "drawn_label", "earlier_plan", "recorded_study"]

logger = logging.getLogger(__name__)

Suggestion = tuple[int, Mapping[str, Any]]
"""Number of a trial of the study, from 0, and the values of its parameters by dotted key."""

PARTS = {
    "objectives": "metric",
    "sampler": "method",
    "search_seed": "search_seed",
    "parameters": "parameters",
    "scheduler": "scheduler",
}
"""What of `SweepRecord.search` defines a study, and its key in a search space."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedStudy:
    """The trials that earlier commands drew for a search."""

    suggestions: tuple[Suggestion, ...] = ()
    """Drawn for this study, in the order of their numbers, without values that the trainer refused."""
    trial_ids: tuple[str, ...] = ()
    """The trial of each suggestion."""
    drawn: int = 0
    """Number of draws, refused ones included."""
    prior: tuple[Mapping[str, Any], ...] = ()
    """Values of trials that were drawn for other studies of the same sweep."""
    differences: tuple[str, ...] = ()
    """Why the recorded study is another one; empty if it is this one, or if none is recorded."""

    def superseded(self, *differences: str) -> RecordedStudy:
        """The start of a new study: what was drawn for this one can only be its prior trials."""
        values = {repr(sorted(item.items())): item for item in (*self.prior, *(item for _, item in self.suggestions))}
        return RecordedStudy(prior=tuple(values.values()), differences=differences)


def recorded_study(plan: SweepRecord, earlier: SweepRecord | None) -> RecordedStudy:
    """What `earlier`, the plan in the run directory, means for the study of `plan`, which has no trials yet."""
    if earlier is None or not earlier.is_search:
        return RecordedStudy()
    trial_ids = {run.row: run.trial_id for run in earlier.cells}
    numbered = {drawn_number(row.label): row for row in earlier.rows}
    rows = {number: row for number, row in sorted(numbered.items()) if number >= 0 and row.label in trial_ids}
    recorded = RecordedStudy(
        suggestions=tuple((number, current(row.factors)) for number, row in rows.items()),
        trial_ids=tuple(trial_ids[row.label] for row in rows.values()),
        drawn=max((earlier.search.get("drawn", 0), *(number + 1 for number in rows))),
        prior=tuple(current(values) for values in earlier.search.get("prior", ())),
    )
    differences = tuple(differing(plan, earlier))
    return recorded.superseded(*differences) if differences else recorded


def drawn_label(number: int) -> str:
    """Label of the row of trial `number`."""
    return f"trial {number}"


def drawn_number(label: str) -> int:
    """Inverse of `drawn_label`; -1 for any other row."""
    match = re.fullmatch(r"trial (\d+)", label)
    return int(match[1]) if match else -1


def current_name(key: str) -> str:
    """The present name of a key."""
    return renamed_keys(workload_in_use().config_type).get(key, key)


def current(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as settings: under the current names of their keys, lists as tuples."""
    return {current_name(key): tuple(item) if isinstance(item, list) else item for key, item in values.items()}


def differing(plan: SweepRecord, earlier: SweepRecord) -> Iterator[str]:
    """What of the question that `plan` asks differs from that of `earlier`; nothing if it is the same study.

    Plans of version 0.1 have no digest of it; `SearchPlan` compares their trial ids.
    """
    known = {**earlier.search, "parameters": [renamed(item) for item in earlier.search.get("parameters", ())]}
    if known.get("study") == plan.search["study"]:
        return
    found = [word for part, word in PARTS.items() if part in known and known[part] != plan.search[part]]
    if "study" in known:
        keys = sorted(
            (plan.settings.keys() | earlier.settings.keys()) - set(location_keys(workload_in_use().config_type))
        )
        found += [key for key in keys if plan.settings.get(key) != earlier.settings.get(key)]
        found = found or ["the seed of its trials, the data or the result version"]
    yield from found


def renamed(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a parameter under the current names of its keys."""
    when = {current_name(key): values for key, values in parameter["when"].items()}
    return {**parameter, "key": current_name(parameter["key"]), "when": when}


def earlier_plan(directory: RunDirectory, name: str) -> SweepRecord | None:
    """The plan of sweep `name` in the run directory; if it is lost or damaged the newest kept one, else None.

    Logs a warning for a damaged plan.
    """
    if directory.files.read(sweep_key(name)) is not None:
        try:
            return directory.sweep(name)
        except StoreError as error:
            logger.warning("%s; the plan is made again, and trials that are done are not trained again", error)
    for number in reversed(directory.kept_numbers(name)):
        with suppress(StoreError):
            return directory.kept_plan(name, number).sweep
    return None
