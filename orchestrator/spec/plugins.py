"""The plugins of a search space and its recipe (`plugins:`), loaded before anything else in the files is checked."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.loading import import_module
from orchestrator.plugins.table_style import has_styles
from orchestrator.spec.named_plugin import NamedPlugin
from orchestrator.spec.settings import quoted
from orchestrator.spec.validators import plugin_names
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.spec.yaml_document import Document
from orchestrator.workload.extension import Extension

__all__ = ["PLUGINS_KEY", "load_plugins", "plugins_in"]

PLUGINS_KEY = "plugins"


def load_plugins(named: Sequence[NamedPlugin]) -> Extension | None:
    """What plugins add to the configuration; None without any.

    Any workload takes those with table styles (`orchestrator.spec.table_styles`), which add nothing to it.

    Raises SpecError with one line per plugin.
    """
    if not named:
        return None
    workload = workload_in_use()
    add_plugin = workload.extras.add_plugin
    if add_plugin is None:
        named = [plugin for plugin in named if not draws_tables(plugin)]
        if not named:
            return None
        text = f"the workload {quoted(workload.name)} takes no plugins; remove this key"
        raise SpecError(f"{named[0].origin}: {PLUGINS_KEY}: {text}")
    errors = SpecErrorCollector()
    extension: Extension | None = None
    for plugin in named:
        try:
            extension = add_plugin(plugin.source, extension)
        except PluginError as error:
            errors.messages.append(f"{plugin.origin}: {PLUGINS_KEY}: {error}")
    errors.raise_any()
    return extension if extension is not None and extension.names else None


def draws_tables(plugin: NamedPlugin) -> bool:
    """Whether a plugin can be loaded and has table styles."""
    try:
        return has_styles(import_module(plugin.source))
    except PluginError:
        return False


def plugins_in(*documents: Document) -> tuple[NamedPlugin, ...]:
    """The plugins that documents name. Raises SpecError where the key is wrong.

    Files are relative to the document that names them, which `orchestrator.spec.extends` has made absolute.
    """
    found = []
    for document in documents:
        if PLUGINS_KEY in document.values:
            try:
                names = plugin_names(document.values[PLUGINS_KEY])
            except ValueError as error:
                raise SpecError(f"{document.origin(PLUGINS_KEY)}: {PLUGINS_KEY}: {error}") from error
            found += [
                NamedPlugin(name=name, origin=document.origin(PLUGINS_KEY, position))
                for position, name in enumerate(names)
            ]
    return tuple(found)
