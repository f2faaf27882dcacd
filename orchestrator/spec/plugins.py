"""The plugins of a search space and its recipe (`plugins:`), loaded before anything else in the files is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.plugins.error import PluginError
from orchestrator.spec.validators import plugin_names
from orchestrator.spec.yaml_document import Document

if TYPE_CHECKING:
    from trainer.plugins.loading import Plugin
    from trainer.plugins.options import Extension

__all__ = ["PLUGINS_KEY", "load_plugins", "plugins_in"]

PLUGINS_KEY = "plugins"


def load_plugins(named: Sequence[tuple[str, str]]) -> Extension | None:
    """What plugins add to the configuration: files or modules, each with the place that names it; None without any.

    Raises SpecError with one line per plugin.
    """
    if not named:
        return None
    from trainer.plugins.loading import read_plugin  # not for the sweeps that have none
    from trainer.plugins.options import Extension

    errors = SpecErrorCollector()
    plugins: dict[str, Plugin] = {}
    for name, origin in named:
        try:
            plugin = read_plugin(name, Path())
            if plugin.tables:  # not for one with table styles alone
                plugins.setdefault(plugin.source.path, plugin)
        except PluginError as error:
            errors.messages.append(f"{origin}: {PLUGINS_KEY}: {error}")
    errors.raise_any()
    if not plugins:
        return None
    try:
        return Extension(tuple(plugins.values()))
    except PluginError as error:
        raise SpecError(f"{named[-1][1]}: {PLUGINS_KEY}: {error}") from error


def plugins_in(*documents: Document) -> tuple[tuple[str, str], ...]:
    """The plugins that documents name, each with its place. Raises SpecError where the key is wrong.

    Files are relative to the document that names them, which `orchestrator.spec.extends` has made absolute.
    """
    found = []
    for document in documents:
        if PLUGINS_KEY in document.values:
            try:
                names = plugin_names(document.values[PLUGINS_KEY])
            except ValueError as error:
                raise SpecError(f"{document.origin(PLUGINS_KEY)}: {PLUGINS_KEY}: {error}") from error
            found += [(name, document.origin(PLUGINS_KEY, position)) for position, name in enumerate(names)]
    return tuple(found)
