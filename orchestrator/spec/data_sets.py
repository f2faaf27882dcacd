"""`data:`: the data sets on which every row of a sweep is trained, each with the settings that hold on it.

A data set brings its settings, or a recipe of its own, which holds as if `--recipe` had named it. So its trials are
those of a sweep over it alone, with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError, SpecErrorCollector, shortened
from orchestrator.machine.first_few import first_few
from orchestrator.spec.blocks import Until
from orchestrator.spec.data_entry import DataEntry
from orchestrator.spec.paths import expanded
from orchestrator.spec.recipe_file import Recipe
from orchestrator.spec.recipes import find_recipe, known_recipes, load_recipe
from orchestrator.spec.rows import MethodRows
from orchestrator.spec.schema import SearchSpace
from orchestrator.spec.settings import Setting, SettingsBlock, config_leaves, quoted, read_setting
from orchestrator.store.data_set_record import data_set_stem
from orchestrator.store.sweep_record import SEARCHES
from orchestrator.workload.field_types import choices

__all__ = [
    "DataSetSpec",
    "data_mistakes",
    "data_names",
    "given_entries",
    "named_recipes",
    "override_mistakes",
    "read_data_sets",
    "row_mistakes",
]

NAME, ROOT, FOLDER = "data.name", "data.root", "folder"
"""Keys of the settings that an entry without a block stands for, and the data set that a folder is."""
ROWS_NAMED = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSetSpec:
    """One data set of a sweep."""

    name: str
    """What tables call it; where the entry does not say so, what it names, and `is_named` is False."""
    is_named: bool = True
    recipe: str = ""
    """Name of the recipe of its trials."""
    content: Recipe
    """That recipe."""
    own: SettingsBlock
    """What the entry sets."""
    base: Mapping[str, Setting] = field(default_factory=dict)
    """Settings that hold for every row on it unless the row sets them itself."""
    origin: str
    """`file:line` of the entry, or `--data camvid`."""


def given_entries(texts: Sequence[str]) -> tuple[tuple[str, DataEntry], ...]:
    """Origin and entry of each text of `--data`, which may hold several with commas between them."""
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    return tuple((f"--data {shortened(part)}", DataEntry(text=part)) for part in parts)


def named_recipes(data: Any) -> Iterator[str]:
    """What may name a recipe in the unchecked value of `data`, or in the texts of `--data`."""
    for entry in data if isinstance(data, list | tuple) else [data]:
        if isinstance(entry, str):
            yield from (part.strip().partition("=")[0] for part in entry.split(","))
        elif isinstance(entry, dict) and isinstance(entry.get("recipe"), str):
            yield entry["recipe"]


def data_names(entries: Sequence[DataEntry]) -> tuple[str, ...]:
    """The entries in a sweep's name: `camvid`, `mine`."""
    return tuple(short_name(entry) for entry in entries)


def short_name(entry: DataEntry) -> str:
    """What an entry is called if it has no name: its data set, recipe or folder."""
    if entry.name or not entry.text:
        given = {item.key: str(item.value) for item in entry.block.settings}
        folder = expanded(given[ROOT]).name if given.get(NAME) == FOLDER and ROOT in given else ""
        return entry.name or folder or Path(entry.recipe).stem or given.get(NAME, "") or "data"
    left, equals, _ = entry.text.partition("=")
    return left if equals else expanded(entry.text).resolve().name if "/" in entry.text else entry.text


def read_data_sets(
    path: Path, default: tuple[str, Recipe], entries: Sequence[tuple[str, DataEntry]]
) -> tuple[DataSetSpec, ...]:
    """The data sets of `entries` (origin and entry), on top of the sweep's own recipe `default`, name and content.

    Raises SpecError with one line per mistake, for what is neither a data set, a recipe nor a folder, for a recipe that
    cannot be read, and for two data sets that tables could not tell apart.
    """
    errors = SpecErrorCollector()
    found: tuple[DataSetSpec, ...] = tuple(errors.collect(partial(read_data_set, path, default), entries))
    first: dict[str, DataSetSpec] = {}
    for item in found:
        stem = data_set_stem(item.name)
        if not stem:
            errors.messages.append(f"{item.origin}: data: {quoted(item.name)} has no letter or digit; add `name: NAME`")
        elif stem in first:
            text = f"{quoted(item.name)} is named like {quoted(first[stem].name)} ({first[stem].origin})"
            errors.messages.append(f"{item.origin}: data: {text}; remove one of the two, or give it another `name`")
        first.setdefault(stem, item)
    errors.raise_any()
    return found


def read_data_set(path: Path, default: tuple[str, Recipe], given: tuple[str, DataEntry]) -> DataSetSpec:
    """One data set. Raises SpecError."""
    origin, entry = given
    recipe, own = entry.recipe, entry.block
    if entry.text:
        recipe, own = meaning_of(entry.text, origin, path)
    name, content = default
    if recipe:
        name, content = load_recipe(recipe, path, f"{origin}: data.recipe")
    elif not name:
        text = f"{quoted(short_name(entry))} needs a recipe; add `recipe: NAME` to it or to the file"
        raise SpecError(f"{origin}: data: {text} ({known_recipes(path)})")
    return DataSetSpec(
        name=short_name(entry), is_named=bool(entry.name), recipe=name, content=content, own=own, origin=origin
    )


def meaning_of(text: str, origin: str, path: Path) -> tuple[str, SettingsBlock]:
    """The recipe that `text` names, or none, and the settings it stands for. Raises SpecError if it names nothing."""
    data_sets = known_data_sets()
    left, equals, right = text.partition("=")
    whole = left if equals and (left in data_sets or find_recipe(left, path)) else text
    root = (read_setting(ROOT, right, origin),) if whole != text else ()
    if whole in data_sets:
        return "", SettingsBlock(settings=(read_setting(NAME, whole, origin), *root))
    if find_recipe(whole, path) is not None:
        return whole, SettingsBlock(settings=root)
    if FOLDER in data_sets and ("/" in text or expanded(text).is_dir()):
        folder = (read_setting(NAME, FOLDER, origin), read_setting(ROOT, text, origin))
        return "", SettingsBlock(settings=folder)
    named = f"data sets: {', '.join(data_sets)}; {known_recipes(path)}" if data_sets else known_recipes(path)
    raise SpecError(f"{origin}: data: no data set, recipe or folder {quoted(text)}; {named}")


def known_data_sets() -> tuple[str, ...]:
    """Names that `data.name` may have; none for a trainer without that key."""
    leaves = config_leaves()
    return tuple(map(str, choices(leaves[NAME].annotation))) if NAME in leaves and ROOT in leaves else ()


def data_mistakes(space: SearchSpace, origin: str, count: int, until: Until | None) -> Iterator[str]:
    """What does not fit `count` data sets, 0 for a file without `data`; `origin` is the place of `data`.

    `until` is that of the seeds that count.
    """
    table = space.table
    where = f"{space.origin('table', 'across_data')}: table.across_data"
    if table.across_data != "none" and max(count, len(space.data or ())) < 2 and space.is_complete("data"):
        yield f"{where}: needs `data:` with two data sets or more; remove it"
    if table.across_data == "data_sets" and space.baseline is None and count > 1:
        yield f"{where}: data_sets compares each row with the baseline; add `baseline: LABEL`, or write mean"
    if not count:
        return
    if space.method in SEARCHES and space.is_complete("method"):
        text = "a search chooses its trials by their figures on one data set"
        yield f"{origin}: data: {text}; name one with --recipe, and train its best rows on all of them in an ablation"
    if until is not None:
        text = "`until: decided` adds seeds by the differences on one data set"
        yield f"{origin}: data: {text}; write a number of seeds, for example seeds: 5"
    if table.layout == "matrix" and count > 1:
        where = f"{space.origin('table', 'layout')}: table.layout"
        yield f"{where}: a matrix has no place for several data sets; write layout: list or groups"


def override_mistakes(data_sets: Sequence[DataSetSpec], fixed: SettingsBlock, assigned: SettingsBlock) -> Iterator[str]:
    """Settings of `--set` that a data set has as well, and of `fixed` that all of them have."""
    for item in assigned.settings:
        owner = next((data for data in data_sets if sets(data, item.key)), None)
        if owner is not None:
            text = f"the data set {quoted(owner.name)} sets it ({owner.origin}); change it there"
            yield f"{item.origin}: {item.key}: {text}"
    for item in fixed.settings:
        if data_sets and all(sets(data, item.key) for data in data_sets):
            yield f"{item.origin}: {item.key}: has no effect, as every data set sets this key; remove one of the two"


def sets(data: DataSetSpec, key: str) -> bool:
    """Whether the entry of a data set sets the key."""
    return any(item.key == key for item in data.own.settings)


def row_mistakes(data_sets: Sequence[DataSetSpec], found: Sequence[MethodRows]) -> Iterator[str]:
    """Generated rows that are not the same on all data sets, as the recipes have other values; `found` are of each."""
    rows = [{row.label: row.factors() for row in item.rows} for item in found]
    for data, own in zip(data_sets, rows, strict=True):
        if own != rows[0]:
            labels = first_few(sorted(own.keys() ^ rows[0].keys()), ROWS_NAMED) or "their settings"
            text = f"the rows are not those on {quoted(data_sets[0].name)} ({labels}), as the recipes differ"
            yield f"{data.origin}: data: {text}; list them under `rows`"
