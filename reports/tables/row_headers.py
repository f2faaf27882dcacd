"""The leading columns of a table: labels, factors, or check marks for components that are on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.store.sweep_record import SEARCHES, Row, SweepRecord

__all__ = [
    "CHECK",
    "RowHeaders",
    "factor_text",
    "key_titles",
    "key_words",
    "level_texts",
    "make_row_headers",
    "row_titles",
    "setting_keys",
    "short_names",
    "value_text",
    "varied_keys",
]

CHECK = "✓"
WITHOUT = "w/o "
"""How the label of a row without a component starts (`leave_one_out`)."""
FEWEST_COMPONENTS = 2
VAGUE = ("kind", "labels", "name", "source", "weight")
"""Last parts of keys that say little without the part before them: `Contrast source`, not `Source`."""


class Titled(Protocol):
    """A row of a plan or of a table."""

    @property
    def factors(self) -> Mapping[str, Any]:
        """Values by dotted key."""
        ...

    @property
    def titles(self) -> Mapping[str, str]:
        """What tables call some of them."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RowHeaders:
    """Headers of the leading columns, and their texts for each row."""

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    merged: int = 0
    """Number of leading columns that show equal neighbours once."""
    checks: bool = False
    """All columns but the first hold check marks."""


def make_row_headers(
    rows: Sequence[Row], baseline: str | None, *, method: str, group: Sequence[str] = (), merge: bool = True
) -> RowHeaders:
    """The row headers that suit the method.

    An ablation gets check marks if its rows switch components, else labels; a grid or a search gets one column per
    factor, a search after the number of the trial, by which figures and notes call it. Factors in `group` come first;
    with `merge`, equal neighbours of all factors but the last are shown once.
    """
    if method == "ablation" and not group:
        return check_marks(rows) or RowHeaders(names=("Variant",), texts=tuple((row.label,) for row in rows))
    names, texts = factor_columns(rows, baseline, group)
    if method in SEARCHES:
        return trial_column(rows, names, texts)
    first = 1 if names[0] == "Variant" else 0
    merged = len(names) - 1 if merge and not first and method == "grid" else len(group) if not first else 0
    return RowHeaders(names=names, texts=tuple(texts), merged=min(merged, len(names) - 1))


def trial_column(rows: Sequence[Row], names: Sequence[str], texts: Sequence[Sequence[str]]) -> RowHeaders:
    """The columns of a search: `Trial` with the number of each, or with the label of another row, before `names`."""
    if names[0] == "Variant":  # has the labels
        names, texts = names[1:], [text[1:] for text in texts]
    blank = [["" if text == row.label else text for text in found] for row, found in zip(rows, texts, strict=True)]
    headers = [(row.label.removeprefix("trial "), *found) for row, found in zip(rows, blank, strict=True)]
    return RowHeaders(names=("Trial", *names), texts=tuple(headers))


def check_marks(rows: Sequence[Row]) -> RowHeaders | None:
    """One column per component if every row is the full one without some of its settings, else None.

    Settings that are always set together are one component. A row `w/o NAME` that lacks one component names it.
    """
    full = max(rows, key=lambda row: len(row.factors), default=None)
    if full is None or any(
        key not in full.factors or full.factors[key] != value for row in rows for key, value in row.factors.items()
    ):
        return None
    components: dict[tuple[bool, ...], list[str]] = {}
    for key in full.factors:
        components.setdefault(tuple(key in row.factors for row in rows), []).append(key)
    components = {pattern: keys for pattern, keys in components.items() if not all(pattern)}
    if len(components) < FEWEST_COMPONENTS:
        return None
    names = dict(zip(full.factors, key_titles(tuple(full.factors)), strict=True))
    headers = []
    for pattern, keys in components.items():
        alone = [
            row.label.removeprefix(WITHOUT)
            for place, row in enumerate(rows)
            if row.label.startswith(WITHOUT)
            and not pattern[place]
            and len(row.factors) + len(keys) == len(full.factors)
        ]
        headers.append(alone[0] if alone else ", ".join(names[key] for key in keys))
    texts = tuple(
        (row.label, *(CHECK if pattern[place] else "" for pattern in components)) for place, row in enumerate(rows)
    )
    return RowHeaders(names=("Variant", *headers), texts=texts, checks=True)


def factor_columns(
    rows: Sequence[Row], baseline: str | None, group: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headers and texts, one column per factor; labels for a baseline outside the grid and where rows are equal."""
    keys = varied_keys(rows, baseline, group)
    if not keys:
        return ("Variant",), [(row.label,) for row in rows]
    texts = [tuple(value_text(row, key) if key in row.factors else "" for key in keys) for row in rows]
    for index, row in enumerate(rows):
        if (row.label == baseline and not set(row.factors) <= set(keys)) or not any(texts[index]):
            texts[index] = (row.label, *[""] * (len(keys) - 1))
    names = key_titles(keys)
    if len(set(texts)) == len(texts):
        return names, texts
    return ("Variant", *names), [(row.label, *text) for row, text in zip(rows, texts, strict=True)]


def varied_keys(rows: Sequence[Row], baseline: str | None, group: Sequence[str] = ()) -> tuple[str, ...]:
    """Factors that the rows other than the baseline vary, those of `group` first."""
    varied = [row for row in rows if row.label != baseline] or list(rows)
    levels: dict[str, set[str]] = {}
    for row in varied:
        for key in row.factors:
            levels.setdefault(key, set())
    for key, seen in levels.items():
        seen.update(repr(row.factors.get(key, ...)) for row in varied)
    changing = [key for key in levels if len(levels[key]) > 1] or list(levels)
    return tuple(dict.fromkeys([*(key for key in group if key in levels), *changing]))


def short_names(keys: Sequence[str]) -> tuple[str, ...]:
    """The shortest ending of each dotted key that no other key shares.

    >>> short_names(["contrast.memory.kind", "contrast.mining.kind", "contrast.temperature"])
    ('memory.kind', 'mining.kind', 'temperature')
    """
    parts = [key.split(".") for key in keys]
    names = []
    for own in parts:
        length = next(
            (length for length in range(1, len(own)) if sum(other[-length:] == own[-length:] for other in parts) == 1),
            len(own),
        )
        names.append(".".join(own[-length:]))
    return tuple(names)


def key_titles(keys: Sequence[str]) -> tuple[str, ...]:
    """`short_names` in words, for the head of a column or an axis.

    >>> key_titles(["contrast.memory.pixels_per_class", "contrast.source"])
    ('Pixels per class', 'Contrast source')
    """
    found = []
    for key, name in zip(keys, short_names(keys), strict=True):
        if name in VAGUE:
            name = ".".join(key.split(".")[-2:])
        words = name.replace(".", " ").replace("_", " ")
        found.append(words[:1].upper() + words[1:])
    return tuple(found)


def row_titles(sweep: SweepRecord, *, brief: bool = False) -> dict[str, str]:
    """What figures, papers and tables of classes call the rows, by label; `brief`: without the names of the keys.

    Labels that were made of settings become words: `temperature 0.1` for `temperature=0.1`, or `ResNet-50,
    inter-image` for `backbone=resnet50, source=inter_image`. Those that the search space gives stay.
    """
    keys = dict.fromkeys(key for row in sweep.rows for key in row.factors)
    titled = {key for key in keys if all(key in row.titles for row in sweep.rows if key in row.factors)}
    found = {row.label: row_title(row, keys if brief else titled) for row in sweep.rows}
    return found if len(set(found.values())) == len(found) else {label: label for label in found}


def setting_keys(row: Row) -> tuple[str, ...]:
    """The keys of the settings that the label of a row is made of; none for a label that the search space gives."""
    found = []
    for setting in row.label.split(", "):
        name, is_setting, _ = setting.partition("=")
        key = next((key for key in row.factors if key == name or key.endswith(f".{name}")), None)
        if not is_setting or key is None:
            return ()
        found.append(key)
    return tuple(found)


def row_title(row: Row, titled: Collection[str]) -> str:
    """The title of a row; values of the keys `titled` say what they are of."""
    keys = setting_keys(row)
    texts = (value_text(row, key) if key in titled else f"{key_words(key)} {value_text(row, key)}" for key in keys)
    return ", ".join(texts) if keys else row.label


def key_words(key: str) -> str:
    """`pixels per class`: the title of one key in running text."""
    (words,) = key_titles((key,))
    return words[:1].lower() + words[1:]


def value_text(row: Titled, key: str) -> str:
    """What a table calls the value of a row's factor `key`."""
    return row.titles.get(key) or factor_text(row.factors[key])


def factor_text(value: Any) -> str:
    """A factor's value as a reader would write it; a drawn float has four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and len(repr(value)) > 8:
        return f"{value:.4g}"
    return "none" if value is None else json.dumps(value, default=str)


def level_texts(rows: Sequence[Titled], key: str) -> Mapping[str, str]:
    """Text of each level of factor `key` by its `repr`, in the order of the rows."""
    return {repr(row.factors[key]): value_text(row, key) for row in rows if key in row.factors}
