"""The table styles that the plugins of a search space add: a context variable, as its other plugins are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from orchestrator.errors import SpecErrorCollector
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.table_style import TableStyle, add_styles, read_styles
from orchestrator.spec.named_plugin import NamedPlugin

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


def load_styles(named: Sequence[NamedPlugin]) -> Mapping[str, TableStyle]:
    """The table styles of plugins.

    Raises SpecError with one line per plugin.
    """
    errors = SpecErrorCollector()
    found: dict[str, TableStyle] = {}
    for plugin in named:
        try:
            found = add_styles(found, read_styles(plugin.source))
        except PluginError as error:
            errors.messages.append(f"{plugin.origin}: plugins: {error}")
    errors.raise_any()
    return found
