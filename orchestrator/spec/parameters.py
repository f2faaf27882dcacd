"""`parameters`: the levels, constants and ranges of a grid or a search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.spec.distributions import Distribution
from orchestrator.spec.settings import Leaf, Setting, config_leaves, number_type, read_setting, shown, unknown_key
from orchestrator.spec.validators import number, positive
from orchestrator.spec.yaml_document import Document, Place

__all__ = ["Parameters", "read_levels", "read_parameters", "short_names"]

LISTED = frozenset({"values"})
CONSTANT = frozenset({"value"})
DRAWN = frozenset({"min", "max", "distribution", "step"})
KINDS: Mapping[type, tuple[str, ...]] = {float: ("uniform", "log_uniform"), int: ("int_uniform", "int_log_uniform")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """What `parameters` says, by dotted key and in the order of the file."""

    levels: dict[str, list[Setting]] = field(default_factory=dict)
    ranges: dict[str, Distribution] = field(default_factory=dict)
    constants: list[Setting] = field(default_factory=list)

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The listed values of each factor; of one drawn from a range none."""
        listed = {key: tuple(item.value for item in levels) for key, levels in self.levels.items()}
        return {**listed, **dict.fromkeys(self.ranges, ())}


def read_parameters(document: Document, problems: list[str]) -> Parameters:
    """The parameters of the file; ranges only where its method draws values. Mistakes go to `problems`."""
    found = Parameters()
    given = document.values.get("parameters")
    drawing = document.values.get("method") != "grid"
    for key, choice in (given if isinstance(given, dict) else {}).items():
        place = ("parameters", key)
        if not isinstance(choice, dict):
            continue  # the schema has complained
        names = frozenset(choice)
        if names == CONSTANT:
            setting = read_setting(key, choice["value"], document.origins[*place, "value"], problems)
            found.constants.extend([setting] if setting else [])
        elif names == LISTED:
            if isinstance(choice["values"], list):
                found.levels[key] = read_levels(key, choice["values"], document, (*place, "values"), problems)
        elif names <= DRAWN and names and not drawing:
            text = "a grid needs `values: [...]`; list them, or draw them with `method: random` or `method: tpe`"
            problems.append(f"{document.origins[place]}: {key}: {text}")
        elif names <= DRAWN and names:
            drawn = read_range(key, choice, document, problems)
            found.ranges.update({key: drawn} if drawn else {})
        elif names <= LISTED | CONSTANT | DRAWN:
            forms = "`values: [...]`, `value: x` or `min: a, max: b`" if drawing else "`values: [...]` or `value: x`"
            problems.append(
                f"{document.origins[place]}: {key}: not one of the forms of a parameter; give either {forms}"
            )
    return found


def read_levels(
    key: str, values: Sequence[Any], document: Document, place: Place, problems: list[str]
) -> list[Setting]:
    """The levels of one factor, all different; `place` is where they stand."""
    if not values:
        problems.append(f"{document.origins[place]}: {key}: no values; list at least one")
    found: list[Setting] = []
    for index, value in enumerate(values):
        setting = read_setting(key, value, document.origins[*place, index], problems)
        if setting is None:
            if key not in config_leaves():
                return []  # the key is wrong, once for all its values
            continue
        if any(setting.value == other.value for other in found):
            problems.append(f"{setting.origin}: {key}: {shown(value)} is listed twice; remove one")
        else:
            found.append(setting)
    return found


def read_range(key: str, choice: Mapping[str, Any], document: Document, problems: list[str]) -> Distribution | None:
    """The distribution between `min` and `max`; None, and lines in `problems`, where the knob has no such range."""
    origin = document.origins["parameters", key]
    leaf = config_leaves().get(key)
    if leaf is None:
        problems.append(f"{origin}: {key}: {unknown_key(key)}")
        return None
    kinds = KINDS.get(number_type(leaf.annotation) or str)
    if kinds is None:
        problems.append(f"{origin}: {key}: not a number, so it has no range; write `values: [...]`")
        return None
    kind, step = choice.get("distribution", kinds[0]), choice.get("step")
    if kind not in KINDS[float] + KINDS[int] or not (step is None or passes(positive, step)):
        return None  # the schema has complained
    if kind not in kinds:
        what = "whole numbers" if int is number_type(leaf.annotation) else "numbers"
        problems.append(f"{origin}: {key}: {shown(kind)} does not draw {what}; choose {' or '.join(kinds)}")
        return None
    low, high = (read_bound(leaf, name, choice, document, problems) for name in ("min", "max"))
    if low is None or high is None:
        return None
    if refusal := range_refusal(kind, low, high, step):
        problems.append(f"{origin}: {key}: {refusal}")
        return None
    return Distribution(key=key, kind=kind, low=low, high=high, step=step, origin=origin)


def read_bound(
    leaf: Leaf, name: str, choice: Mapping[str, Any], document: Document, problems: list[str]
) -> float | int | None:
    """`min` or `max` in the type of the knob."""
    if choice.get(name) is None:
        problems.append(f"{document.origins['parameters', leaf.key]}: {leaf.key}: no {name}; give both min and max")
        return None
    if not passes(number, choice[name]):
        return None  # the schema has complained
    setting = read_setting(leaf.key, choice[name], document.origins["parameters", leaf.key, name], problems)
    return None if setting is None else setting.value


def passes(check: Callable[[Any], Any], value: Any) -> bool:
    """Whether a check of the schema lets `value` through."""
    try:
        check(value)
    except ValueError:
        return False
    return True


def range_refusal(kind: str, low: float, high: float, step: float | None) -> str | None:
    """Why nothing can be drawn from a range; None where it is sound."""
    if low >= high:
        return f"min {shown(low)} is not below max {shown(high)}; exchange them, or write `value: x`"
    if "log" in kind and low <= 0:
        return f"min {shown(low)} has no logarithm; write a min above 0, or draw without log"
    if step is None:
        return None
    if "log" in kind:
        return f"{kind} takes no step; remove it, or draw without log"
    if kind == "int_uniform" and not isinstance(step, int):
        return f"step must be a whole number, not {shown(step)}; write for example 1"
    steps = (high - low) / step
    if not math.isfinite(steps):
        return f"step {shown(step)} is too small for the range; write a larger one, or remove it"
    if steps < 1 or not math.isclose(steps, round(steps), rel_tol=0, abs_tol=1e-6):
        last = low + max(1, math.floor(steps + 1e-6)) * step
        return f"max {shown(high)} is no whole number of steps from min; write for example max: {last:g}"
    return None


def short_names(keys: Sequence[str]) -> Mapping[str, str]:
    """Last part of each key; the whole key where two would look alike."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}
