"""Checks of single values of a search space; each returns the value or raises ValueError: what is wrong; remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.spec.settings import shown

__all__ = [
    "METHODS",
    "README",
    "as_list",
    "at_least",
    "baseline_choice",
    "distribution_kind",
    "extended_files",
    "file_name",
    "fraction",
    "generator",
    "gpu_share",
    "is_whole",
    "method_name",
    "number",
    "positive",
    "scheduler_kind",
    "seed_list",
]

METHODS = ("ablation", "grid", "random", "tpe")
SCHEDULERS = ("asha", "median", "hyperband")
NUMBER_DISTRIBUTIONS = ("uniform", "log_uniform", "int_uniform", "int_log_uniform")
README = "search_spaces/README.md"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAX_SEEDS = 10_000
"""More repetitions than this are a slip of the pen."""


def is_whole(value: Any) -> bool:
    """Whether `value` is an integer and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number and no truth value."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def one_of(names: tuple[str, ...]) -> str:
    """`a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def method_name(value: Any) -> Any:
    """A method there is."""
    if value in SCHEDULERS:
        raise ValueError(
            f"{value} stops trials, it draws none; write `method: random` and `scheduler: {{kind: {value}}}`"
        )
    if value not in METHODS:
        raise ValueError(f"{shown(value)} is not a method; choose {one_of(METHODS)}")
    return value


def scheduler_kind(value: Any) -> Any:
    """A scheduler there is."""
    if value == "pbt":
        raise ValueError(
            "PBT changes a trial's configuration in mid-run, which contradicts an identity by configuration; "
            "choose asha"
        )
    if value not in SCHEDULERS:
        raise ValueError(f"{shown(value)} is not a scheduler; choose {one_of(SCHEDULERS)}")
    return value


def distribution_kind(value: Any) -> Any:
    """A distribution of numbers there is; the categorical one is written as `values`."""
    if value == "categorical":
        raise ValueError("a categorical parameter lists its values; write `values: [...]` alone")
    if value not in NUMBER_DISTRIBUTIONS:
        raise ValueError(f"{shown(value)} is not a distribution; choose {one_of(NUMBER_DISTRIBUTIONS)}")
    return value


def file_name(value: Any) -> Any:
    """A sweep's name: it names a folder."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError(f"{shown(value)} cannot name a folder; use letters, digits, _ - and ., at most 100 of them")


def extended_files(value: Any) -> Any:
    """The file, or the files, whose blocks this one shares."""
    files = value if isinstance(value, list) else [value]
    if files and all(isinstance(item, str) and item for item in files):
        return value
    raise ValueError(f"must be a file or a list of files, not {shown(value)}; write for example ../shared.yaml")


def seed_list(value: Any) -> tuple[int, ...]:
    """`3` -> (0, 1, 2); `[11, 12]` as it is; `{min: 3, ...}` -> (0, 1, 2).

    Raises ValueError for none, negative or equal seeds.
    """
    if isinstance(value, dict):
        return tuple(range(seeds_until(value)[0]))
    if is_whole(value):
        if value < 1:
            raise ValueError(f"must be at least 1, not {value}; write the number of repetitions, or a list of seeds")
        if value > MAX_SEEDS:
            raise ValueError(f"more than {MAX_SEEDS} repetitions; to name a single seed write [{shown(value)}]")
        return tuple(range(value))
    if not isinstance(value, list) or not value or not all(is_whole(seed) and seed >= 0 for seed in value):
        raise ValueError(f"must be a number or a list of whole numbers from 0, not {shown(value)}; write for example 3")
    if len(set(value)) < len(value):
        twice = min(seed for seed in value if value.count(seed) > 1)
        raise ValueError(f"seed {twice} is given twice; remove one")
    return tuple(value)


def seeds_until(value: Mapping[str, Any]) -> tuple[int, int]:
    """Fewest and most seeds of `{min: 3, max: 10, until: decided}`. Raises ValueError for anything else."""
    example = "write for example {min: 3, max: 10, until: decided}"
    unknown = sorted(set(map(str, value)) - {"min", "max", "until"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}; {example}")
    fewest, most = value.get("min", 3), value.get("max", 10)
    if value.get("until") != "decided" or not is_whole(fewest) or not is_whole(most):
        raise ValueError(f"needs two numbers and `until: decided`, not {shown(value)}; {example}")
    if not 3 <= fewest <= most <= MAX_SEEDS:
        raise ValueError(f"min {fewest} and max {most}: nothing is tested below 3 seeds; {example}")
    return fewest, most


def baseline_choice(value: Any) -> Any:
    """A row's label or the settings of an extra row."""
    if value is None or isinstance(value, str | dict):
        return value
    raise ValueError(f"must be the label of a row, not {shown(value)}; put it in quotes")


def generator(value: Any) -> Any:
    """What rows are made from: a block, not a switch."""
    if isinstance(value, bool):
        raise ValueError("takes what to vary, it is no switch; write `{key: [values]}`, or `{label: {settings}}`")
    return value


def gpu_share(value: Any) -> Any:
    """GPUs of a trial: `auto`, 0, a fraction or a whole number."""
    if value == "auto":
        return value
    if not is_number(value) or value < 0:
        raise ValueError(f"must be auto or a number from 0, not {shown(value)}; write for example 1 or 0.25")
    if value > 1 and value != int(value):
        raise ValueError(f"a share above one GPU must be whole, not {shown(value)}; write {math.ceil(value)}")
    return value


def number(value: Any) -> Any:
    """A finite number."""
    if is_number(value):
        return value
    raise ValueError(f"must be a number, not {shown(value)}; write for example 0.1")


def positive(value: Any) -> Any:
    """A number above 0."""
    if is_number(value) and value > 0:
        return value
    raise ValueError(f"must be a number above 0, not {shown(value)}; write for example 1")


def from_zero(value: Any) -> Any:
    """A number from 0."""
    if is_number(value) and value >= 0:
        return value
    raise ValueError(f"must be a number from 0, not {shown(value)}; write for example 5")


def fraction(value: Any) -> Any:
    """A number between 0 and 1, both excluded."""
    if is_number(value) and 0 < value < 1:
        return value
    raise ValueError(f"must lie between 0 and 1, not {shown(value)}; write for example 0.25")


def at_least(minimum: int) -> Callable[[Any], Any]:
    """A checker of whole numbers from `minimum`."""

    def check(value: Any) -> Any:
        if is_whole(value) and value >= minimum:
            return value
        raise ValueError(f"must be a whole number from {minimum}, not {shown(value)}; write for example {minimum + 3}")

    return check


def as_list(value: Any) -> Any:
    """A single block as a list of one."""
    return [value] if isinstance(value, dict) else value


def decimals(value: Any) -> Any:
    """Digits behind the point."""
    if is_whole(value) and 0 <= value <= 9:
        return value
    raise ValueError(f"must be a number of decimals from 0 to 9, not {shown(value)}; write for example 2")


def shown_rows(value: Any) -> Any:
    """The rows of a table: labels, or how many."""
    if (is_whole(value) and value >= 1) or (isinstance(value, list) and value):
        return value
    raise ValueError(f"must be a list of labels or a number from 1, not {shown(value)}; write for example 10")


def switch(value: Any) -> Any:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {shown(value)}; write true")


def any_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """A checker of words."""

    def check(value: Any) -> Any:
        if value in names:
            return value
        raise ValueError(f"{shown(value)} is not a choice; choose {one_of(names)}")

    return check
