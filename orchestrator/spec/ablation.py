"""The rows of an ablation: listed one by one, or generated from a baseline (`one_at_a_time`, `leave_one_out`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.spec.parameters import short_names
from orchestrator.spec.rows import BASELINE_LABEL, ROW_BLOCKS, MethodRows, RowSpec, baseline_row
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import Setting, SettingsBlock, as_yaml, closest, config_leaves, quoted, read_list

__all__ = ["FULL_LABEL", "ablation_rows", "implied_baseline"]

FULL_LABEL = "full"
"""Label of the row with all components of `leave_one_out`."""


def implied_baseline(space: SearchSpace) -> str | None:
    """The baseline where the file names none: the row that the others are generated from."""
    if space.one_at_a_time is not None and not space.rows:
        return BASELINE_LABEL
    return FULL_LABEL if space.leave_one_out is not None else None


def ablation_rows(space: SearchSpace, base: Mapping[str, Setting]) -> MethodRows:
    """The listed rows, then the generated ones. `base` has the settings that hold for all rows."""
    listed = tuple(
        RowSpec(label=label, settings=block.settings, origin=space.origin("rows", label))
        for label, block in (space.rows or {}).items()
    )
    factors, components = space.one_at_a_time, space.leave_one_out
    generated = MethodRows()
    errors = SpecErrorCollector()
    with errors:
        if not (listed or factors or components) and all(map(space.is_complete, ROW_BLOCKS)):
            text = "an ablation needs at least one row; add `LABEL: {key: value}`"
            raise SpecError(f"{space.origin('rows')}: rows: {text}")
        if factors is not None and components is not None:
            text = "cannot be combined with leave_one_out; write one of the two per file"
            raise SpecError(f"{space.origin('one_at_a_time')}: one_at_a_time: {text}")
        if factors is not None:
            generated = varied_rows(space, factors, listed, base)
        elif components is not None:
            generated = reduced_rows(space, components, base)
        if factors is None and isinstance(space.baseline, SettingsBlock):
            labels = [row.label for row in listed] + ([FULL_LABEL] if components else [])
            text = "must be the label of a row in an ablation"
            raise SpecError(f"{space.origin('baseline')}: baseline: {text}; {closest('', labels)}")
    return MethodRows(rows=(*listed, *generated.rows), mistakes=(*errors.messages, *generated.mistakes))


def varied_rows(
    space: SearchSpace,
    factors: Mapping[str, Sequence[Any]],
    listed: tuple[RowSpec, ...],
    base: Mapping[str, Setting],
) -> MethodRows:
    """The baseline, unless it is listed, and one row for each value of each factor that is not the baseline's own.

    Raises SpecError when several rows are listed and none is named as the baseline.
    """
    centre = next((row for row in listed if row.label == space.baseline), None)
    rows: list[RowSpec] = []
    if centre is None and listed:
        if isinstance(space.baseline, str) or not space.is_complete("baseline"):
            return MethodRows()  # `label_mistakes` tells of a baseline that is not a row
        text = f"needs one row to vary; add `baseline: LABEL`; {closest('', [row.label for row in listed])}"
        raise SpecError(f"{space.origin('one_at_a_time')}: one_at_a_time: {text}")
    if centre is None:
        default = RowSpec(label=BASELINE_LABEL, settings=(), origin=space.origin("one_at_a_time"))
        centre = next(iter(baseline_row(space)), default)
        rows.append(centre)
    known = {**base, **{item.key: item for item in centre.settings}}
    names = short_names(tuple(factors))
    mistakes: list[str] = []
    for key, values in factors.items():
        levels = read_list(key, values, partial(space.origin, "one_at_a_time", key))
        mistakes += levels.mistakes
        others = [level for level in levels.settings if level.value != value_in_effect(key, known)]
        if levels.settings and not others:
            own = quoted(levels.settings[0].value)
            origin = space.origin("one_at_a_time", key)
            mistakes.append(f"{origin}: {key}: lists only the baseline's own value {own}; add another value")
        rows.extend(
            RowSpec(
                label=f"{names[key]}={as_yaml(level.value, quotes=False)}",
                settings=(*(item for item in centre.settings if item.key != key), level),
                origin=level.origin,
            )
            for level in others
        )
    return MethodRows(rows=tuple(rows), mistakes=tuple(mistakes))


def reduced_rows(
    space: SearchSpace, components: Mapping[str, SettingsBlock], base: Mapping[str, Setting]
) -> MethodRows:
    """`full` with the settings of all components, then a row `w/o LABEL` without those of each."""
    mistakes: list[str] = []
    owner: dict[str, str] = {}
    for label, block in components.items():
        here = f"{space.origin('leave_one_out', label)}: leave_one_out.{label}"
        if not block.settings and not block.mistakes:
            mistakes.append(f"{here}: a component without settings; add `key: value`")
        if block.settings and all(item.value == value_in_effect(item.key, base) for item in block.settings):
            mistakes.append(f"{here}: leaving it out changes nothing; set the value without it under `fixed`")
        for item in block.settings:
            if item.key in owner:
                text = f"also set by {owner[item.key]!r}; set it in one component only"
                mistakes.append(f"{item.origin}: {item.key}: {text}")
            owner[item.key] = label
    rows = [
        RowSpec(
            label=FULL_LABEL if left_out is None else f"w/o {left_out}",
            settings=tuple(item for label in components if label != left_out for item in components[label].settings),
            origin=space.origin("leave_one_out", *([] if left_out is None else [left_out])),
        )
        for left_out in (None, *components)
    ]
    return MethodRows(rows=tuple(rows) if components else (), mistakes=tuple(mistakes))


def value_in_effect(key: str, settings: Mapping[str, Setting]) -> Any:
    """The value of `key`: the setting, else the trainer's default."""
    given = settings[key].value if key in settings else None
    return config_leaves()[key].default if given is None else given
