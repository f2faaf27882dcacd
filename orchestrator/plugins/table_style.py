"""`TableStyle`: a format of the tables of a sweep; plugins add some in their table `TABLE_STYLES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from orchestrator.machine.one_line import described
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.loading import import_module, place_in_plugin
from orchestrator.plugins.places import Places
from orchestrator.workload.plugin_part import PluginSource

__all__ = ["FILES", "TABLE_STYLES", "TableStyle", "add_styles", "has_styles", "read_styles"]

TABLE_STYLES = "TABLE_STYLES"
"""Name of the table in a plugin."""

FILES: Mapping[str, str] = {
    "markdown": "table.md",
    "latex": "table.tex",
    "preview": "preview.tex",
    "html": "table.html",
    "csv": "table.csv",
    "parquet": "runs.parquet",
}
"""The files of the styles that every sweep has (`reports.render`), by name of the style."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,49}")
FILE = re.compile(r"table([._][A-Za-z0-9_]+)*\.[A-Za-z0-9]{1,20}")
EXAMPLE = f'write {TABLE_STYLES} = {{"plain": TableStyle(code=render_plain, file="table.txt")}}'


@dataclass(frozen=True, kw_only=True, slots=True)
class TableStyle:
    """A line of the table of styles: `"plain": TableStyle(code=render_plain, file="table.txt")`."""

    code: Callable[[Any], str]
    """A function from a `reports.tables.table.Table` to the text of the file. It must change nothing."""
    file: str
    """Name of the file; those of tables of classes are called `classes` instead of `table`."""
    of_classes: bool = True
    """Whether the tables of classes get files of this style, too."""
    place: str = field(default="", compare=False)
    """`my_style.py:12`, where a plugin defines it; set when the plugin is read."""

    def draw(self, table: Any) -> str:
        """The text of `table`. Raises PluginError, which begins with file and line, for what the style raises."""
        if not self.place:
            return self.code(table)
        try:
            text = self.code(table)
            text.encode()
        except (Exception, SystemExit) as error:
            raise PluginError(f"{place_in_plugin(error) or self.place}: {described(error)}") from error
        return text


def has_styles(module: ModuleType) -> bool:
    """Whether a plugin has a table of table styles."""
    return TABLE_STYLES in vars(module)


def read_styles(source: PluginSource) -> dict[str, TableStyle]:
    """The table styles of a plugin, which is imported; none without the table. Raises PluginError for a mistake."""
    module = import_module(source)
    if not has_styles(module):
        return {}
    places, found = Places(module, source.path), getattr(module, TABLE_STYLES)
    if not isinstance(found, Mapping) or not found:
        raise PluginError(f"{places.of(TABLE_STYLES)}: {TABLE_STYLES}: must be a dictionary with an entry; {EXAMPLE}")
    styles: dict[str, TableStyle] = {}
    for name, style in found.items():
        styles = add_styles(styles, {name: checked(name, style, places.of(TABLE_STYLES, name))})
    return styles


def checked(name: Any, style: Any, place: str) -> TableStyle:
    """One entry with its place. Raises PluginError."""
    here = f"{place}: {TABLE_STYLES}[{name!r}]"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise PluginError(f"{here}: must be named with letters, digits and _; {EXAMPLE}")
    if name in FILES:
        raise PluginError(f"{here}: the reports have a style of this name; rename it")
    if not isinstance(style, TableStyle):
        raise PluginError(f"{here}: must be of type TableStyle, not {type(style).__name__}; {EXAMPLE}")
    if not callable(style.code):
        raise PluginError(f"{here}: code must be a function, not {type(style.code).__name__}")
    if not isinstance(style.file, str) or not FILE.fullmatch(style.file):
        raise PluginError(f"{here}: file must be like 'table.txt' or 'table_{name}.txt', not {style.file!r}")
    if style.file.lower() in FILES.values():
        owner = next(other for other, file in FILES.items() if file == style.file.lower())
        own = style.file.replace("table", f"table_{name}", 1)
        raise PluginError(f"{here}: file {style.file!r} is that of the style {owner}; write for example {own!r}")
    return replace(style, place=place)


def add_styles(known: Mapping[str, TableStyle], styles: Mapping[str, TableStyle]) -> dict[str, TableStyle]:
    """The styles `known`, and those of another plugin. Raises PluginError for two with one name or one file."""
    for name, style in styles.items():
        for other_name, other in known.items():
            same = "name" if name == other_name else "file" if style.file.lower() == other.file.lower() else ""
            if same and (name, style.place) != (other_name, other.place):
                text = f"the style at {other.place} has this {same}; change one of them"
                raise PluginError(f"{style.place}: {TABLE_STYLES}[{name!r}]: {text}")
    return {**known, **styles}
