"""An ablation: rows listed one by one, or made from a baseline (`one_at_a_time`, `leave_one_out`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.spec.parameters import read_levels, short_names
from orchestrator.spec.rows import BASELINE_LABEL, RowSpec, baseline_row
from orchestrator.spec.settings import Setting, closest, config_leaves, read_block, shown
from orchestrator.spec.yaml_document import Document

__all__ = ["FULL_LABEL", "ablation_rows", "implied_baseline"]

FULL_LABEL = "full"
"""Label of the row with all components of `leave_one_out`."""


def implied_baseline(document: Document) -> str | None:
    """The baseline where the file names none: what the rows were made from."""
    if "one_at_a_time" in document.values and not document.values.get("rows"):
        return BASELINE_LABEL
    return FULL_LABEL if "leave_one_out" in document.values else None


def ablation_rows(document: Document, base: Mapping[str, Setting], problems: list[str]) -> tuple[RowSpec, ...]:
    """The listed rows, then the made ones. `base` is what holds for all. Mistakes go to `problems`."""
    values, origins = document.values, document.origins
    listed = listed_rows(document, problems)
    factors, components = values.get("one_at_a_time"), values.get("leave_one_out")
    if not any((values.get("rows"), factors, components)):
        text = "an ablation needs at least one row; add `LABEL: {key: value}`"
        problems.append(f"{origins.nearest('rows')}: rows: {text}")
    if factors is not None and components is not None:
        text = "stands beside leave_one_out; ask one question per file"
        problems.append(f"{origins['one_at_a_time',]}: one_at_a_time: {text}")
        return listed
    if isinstance(factors, dict):
        return (*listed, *varied_rows(document, factors, listed, base, problems))
    if isinstance(values.get("baseline"), dict):
        labels = [row.label for row in listed] + ([FULL_LABEL] if components else [])
        problems.append(f"{origins['baseline',]}: baseline: an ablation names one of its rows; {closest('', labels)}")
    if isinstance(components, dict):
        return (*listed, *reduced_rows(document, components, base, problems))
    return listed


def listed_rows(document: Document, problems: list[str]) -> tuple[RowSpec, ...]:
    """The rows of `rows`; one without settings is the recipe as it is."""
    listed = document.values.get("rows")
    return tuple(
        RowSpec(
            label=label,
            settings=read_block(row or {}, document.origins, ("rows", label), problems),
            origin=document.origins["rows", label],
        )
        for label, row in (listed if isinstance(listed, dict) else {}).items()
        if row is None or isinstance(row, dict)
    )


def varied_rows(
    document: Document,
    factors: Mapping[str, Any],
    listed: tuple[RowSpec, ...],
    base: Mapping[str, Setting],
    problems: list[str],
) -> tuple[RowSpec, ...]:
    """The baseline, unless it is listed, and one row for each value of each factor that is not the baseline's own."""
    origin = document.origins["one_at_a_time",]
    wanted = document.values.get("baseline")
    centre = next((row for row in listed if row.label == wanted), None)
    if centre is not None:
        rows = []
    elif listed:
        if wanted is None or isinstance(wanted, dict):
            text = f"which row is varied? Name it with `baseline: LABEL`; {closest('', [row.label for row in listed])}"
            problems.append(f"{origin}: one_at_a_time: {text}")
        return ()
    else:
        made = baseline_row(document, problems)
        centre = made[0] if made else RowSpec(label=BASELINE_LABEL, settings=(), origin=origin)
        rows = [centre]
    known = {**base, **{item.key: item for item in centre.settings}}
    names = short_names(tuple(factors))
    for key, values in factors.items():
        if not isinstance(values, list):
            continue  # the schema has complained
        place = ("one_at_a_time", key)
        levels = read_levels(key, values, document, place, problems)
        others = [level for level in levels if level.value != value_of(key, known)]
        if levels and not others:
            given = shown(levels[0].value)
            problems.append(f"{document.origins[place]}: {key}: only the baseline's own {given}; list another value")
        rows.extend(
            RowSpec(
                label=f"{names[key]}={shown(level.value, quotes=False)}",
                settings=(*(item for item in centre.settings if item.key != key), level),
                origin=level.origin,
            )
            for level in others
        )
    return tuple(rows)


def reduced_rows(
    document: Document, components: Mapping[str, Any], base: Mapping[str, Setting], problems: list[str]
) -> tuple[RowSpec, ...]:
    """`full` with the settings of all components, then a row `w/o LABEL` without those of each."""
    place = "leave_one_out"
    parts: dict[str, tuple[Setting, ...]] = {}
    owner: dict[str, str] = {}
    for label, given in components.items():
        here = f"{document.origins[place, label]}: {place}.{label}"
        if not isinstance(given, dict):
            continue  # the schema has complained
        if not given:
            problems.append(f"{here}: a component without settings; add `key: value`")
        parts[label] = read_block(given, document.origins, (place, label), problems)
        if parts[label] and all(item.value == value_of(item.key, base) for item in parts[label]):
            problems.append(f"{here}: leaving it out changes nothing; set the value without it under `fixed`")
        for item in parts[label]:
            if item.key in owner:
                problems.append(f"{item.origin}: {item.key}: also set by {owner[item.key]!r}; give it to one component")
            owner[item.key] = label
    if not parts:
        return ()
    full = RowSpec(
        label=FULL_LABEL,
        settings=tuple(item for part in parts.values() for item in part),
        origin=document.origins[place,],
    )
    without = (
        RowSpec(
            label=f"w/o {left_out}",
            settings=tuple(item for label, part in parts.items() if label != left_out for item in part),
            origin=document.origins[place, left_out],
        )
        for left_out in parts
    )
    return (full, *without)


def value_of(key: str, settings: Mapping[str, Setting]) -> Any:
    """What `key` is in effect: the setting, else what the trainer takes."""
    given = settings[key].value if key in settings else None
    return config_leaves()[key].default if given is None else given
