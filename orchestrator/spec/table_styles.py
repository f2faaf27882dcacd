"""The table styles that the plugins of a search space add: a context variable, as its other plugins are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from orchestrator.errors import SpecErrorCollector
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.source import read_source
from orchestrator.plugins.table_style import TableStyle, add_styles, read_styles

__all__ = ["drawn_with", "load_styles", "styles_in_use"]

IN_USE: ContextVar[Mapping[str, TableStyle]] = ContextVar("table styles", default={})  # noqa: B039 - never changed


def styles_in_use() -> Mapping[str, TableStyle]:
    """The table styles of the plugins of the specification that is read."""
    return IN_USE.get()


@contextmanager
def drawn_with(styles: Mapping[str, TableStyle]) -> Iterator[None]:
    """In the body, these table styles are legal as well."""
    token = IN_USE.set(styles)
    try:
        yield
    finally:
        IN_USE.reset(token)


def load_styles(named: Sequence[tuple[str, str]]) -> Mapping[str, TableStyle]:
    """The table styles of plugins: absolute files or modules, each with the place that names it.

    Raises SpecError with one line per plugin.
    """
    errors = SpecErrorCollector()
    found: dict[str, TableStyle] = {}
    for name, origin in named:
        try:
            found = add_styles(found, read_styles(read_source(name, Path())))
        except PluginError as error:
            errors.messages.append(f"{origin}: plugins: {error}")
    errors.raise_any()
    return found
