"""Checks of single values of a search space; each returns the value or raises ValueError: what is wrong; remedy."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.spec.settings import quoted

__all__ = [
    "MAX_SEEDS",
    "NAME",
    "README",
    "boolean",
    "counts_from",
    "data_list",
    "decimals",
    "distribution_kind",
    "extended_files",
    "file_name",
    "gpu_share",
    "method_name",
    "not_a_boolean",
    "number",
    "number_between_0_and_1",
    "number_from_0",
    "plugin_names",
    "positive_number",
    "scheduler_kind",
    "seed_list",
    "seed_range",
    "table_rows",
]

README = "search_spaces/README.md"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
MAX_SEEDS = 10_000
"""More repetitions than this are a typo."""


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number and not a boolean."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def explained(**instead: str) -> Callable[[Any], Any]:
    """A check that says for some values that are not legal, but well known, what to write `instead`."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in instead:
            raise ValueError(instead[value])
        return value

    return check


method_name = explained(
    **{
        name: f"{name} stops trials early but does not choose their values; "
        f"write `method: random` and `scheduler: {{kind: {name}}}`"
        for name in ("asha", "median", "hyperband")
    }
)
scheduler_kind = explained(
    pbt="PBT changes the configuration of a running trial, but a trial is identified by its configuration; choose asha"
)
distribution_kind = explained(
    categorical="a categorical parameter lists its values; write only `values: [...]`",
)


def file_name(value: Any) -> Any:
    """The name of a sweep, which also names a directory."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError(f"{quoted(value)} cannot name a directory; use at most 100 letters, digits, _ - and .")


def extended_files(value: Any) -> Any:
    """The file, or the files, that this one extends."""
    files = value if isinstance(value, list) else [value]
    if files and all(isinstance(item, str) and item for item in files):
        return value
    raise ValueError(f"must be a file or a list of files, not {quoted(value)}; write for example ../shared.yaml")


def plugin_names(value: Any) -> list[str]:
    """Files of plugins, or installed modules."""
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(item, str) and item for item in names):
        raise ValueError(f"must be a list of files or modules, not {quoted(value)}; write for example [my_sampler.py]")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{quoted(twice)} is listed twice; remove one")
    return names


def seed_list(value: Any) -> tuple[int, ...]:
    """`3` -> (0, 1, 2); `[11, 12]` -> (11, 12). Raises ValueError for no, negative or equal seeds."""
    if is_integer(value):
        if value < 1:
            raise ValueError(f"must be at least 1, not {value}; write the number of repetitions, or a list of seeds")
        if value > MAX_SEEDS:
            raise ValueError(f"more than {MAX_SEEDS} repetitions; to use this one seed write [{value}]")
        return tuple(range(value))
    if not isinstance(value, list) or not value or not all(is_integer(seed) and seed >= 0 for seed in value):
        raise ValueError(
            f"must be a number or a list of whole numbers from 0, not {quoted(value)}; write for example 3"
        )
    if len(value) > MAX_SEEDS:
        raise ValueError(f"more than {MAX_SEEDS} seeds; list fewer")
    if len(set(value)) < len(value):
        twice = min(seed for seed, count in Counter(value).items() if count > 1)
        raise ValueError(f"seed {twice} is given twice; remove one")
    return tuple(value)


def seed_range(value: Mapping[str, Any]) -> tuple[int, int]:
    """Fewest and most seeds of `{min: 3, max: 10, until: decided}`. Raises ValueError for anything else."""
    example = "write for example {min: 3, max: 10, until: decided}"
    unknown = sorted(set(map(str, value)) - {"min", "max", "until"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}; {example}")
    fewest, most = value.get("min", 3), value.get("max", 10)
    if value.get("until") != "decided" or not is_integer(fewest) or not is_integer(most):
        raise ValueError(f"needs two numbers and `until: decided`, not {quoted(value)}; {example}")
    if not 3 <= fewest <= most <= MAX_SEEDS:
        raise ValueError(f"must satisfy 3 <= min <= max <= {MAX_SEEDS}, not min {fewest} and max {most}; {example}")
    return fewest, most


def not_a_boolean(value: Any) -> Any:
    """What rows are generated from: a block of factors or components."""
    if isinstance(value, bool):
        raise ValueError("takes what to vary, not true or false; write `{key: [values]}`, or `{label: {settings}}`")
    return value


def gpu_share(value: Any) -> Any:
    """GPUs of a trial: `auto`, 0, a fraction or a whole number."""
    if value == "auto":
        return value
    if not is_number(value) or value < 0:
        raise ValueError(f"must be auto or a number from 0, not {quoted(value)}; write for example 1 or 0.25")
    if value > 1 and value != int(value):
        raise ValueError(f"more than one GPU must be a whole number, not {quoted(value)}; write {math.ceil(value)}")
    return value


def numeric(expected: str, example: str, is_legal: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A check for finite numbers: `expected` and `example` say what is legal."""

    def check(value: Any) -> Any:
        if is_number(value) and is_legal(value):
            return value
        raise ValueError(f"must be {expected}, not {quoted(value)}; write for example {example}")

    return check


number = numeric("a number", "0.1", lambda _: True)
positive_number = numeric("a number above 0", "1", lambda value: value > 0)
number_from_0 = numeric("a number from 0", "5", lambda value: value >= 0)
number_between_0_and_1 = numeric("between 0 and 1", "0.25", lambda value: 0 < value < 1)
decimals = numeric("a number of decimals from 0 to 9", "2", lambda value: is_integer(value) and 0 <= value <= 9)


def counts_from(minimum: int) -> Callable[[Any], Any]:
    """A check for whole numbers from `minimum`."""
    return numeric(
        f"a whole number from {minimum}", str(minimum + 3), lambda value: is_integer(value) and value >= minimum
    )


def table_rows(value: Any) -> Any:
    """The rows of a table: labels, or how many."""
    is_count = is_integer(value) and value >= 1
    if is_count or (isinstance(value, list) and value and all(isinstance(label, str) for label in value)):
        return value
    raise ValueError(f"must be a list of labels or a number from 1, not {quoted(value)}; write for example 10")


def boolean(value: Any) -> Any:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {quoted(value)}; write true")


def data_list(value: Any) -> Any:
    """The entries of `data`, at least one; a single one may stand without a list."""
    if isinstance(value, list) and not value:
        raise ValueError("an empty list; name at least one data set, or remove it")
    return value if isinstance(value, list) or value is None else [value]
