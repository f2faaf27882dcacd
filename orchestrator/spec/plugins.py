"""The plugins of a search space and its recipe (`plugins:`), loaded before anything else in the files is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.errors import SpecError, SpecErrorCollector
from orchestrator.plugins.error import PluginError
from orchestrator.spec.settings import quoted
from orchestrator.spec.validators import plugin_names
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.spec.yaml_document import Document
from orchestrator.workload.extension import Extension

__all__ = ["PLUGINS_KEY", "load_plugins", "read_plugins"]

PLUGINS_KEY = "plugins"


def read_plugins(*documents: Document) -> Extension | None:
    """What the plugins that the documents name add to the configuration; None without plugins.

    Files are relative to the document that names them, which `orchestrator.spec.extends` has made absolute. Raises
    SpecError with one line per plugin, with its file and line.
    """
    return load_plugins([place for document in documents for place in plugins_in(document)])


def load_plugins(named: Sequence[tuple[str, str]]) -> Extension | None:
    """What plugins add to the configuration: files or modules, each with the place that names it; None without any.

    Raises SpecError with one line per plugin.
    """
    if not named:
        return None
    workload = workload_in_use()
    add_plugin = workload.extras.add_plugin
    if add_plugin is None:
        text = f"the workload {quoted(workload.name)} takes no plugins; remove this key"
        raise SpecError(f"{named[0][1]}: {PLUGINS_KEY}: {text}")
    errors = SpecErrorCollector()
    extension: Extension | None = None
    for name, origin in named:
        try:
            extension = add_plugin(name, extension)
        except PluginError as error:
            errors.messages.append(f"{origin}: {PLUGINS_KEY}: {error}")
    errors.raise_any()
    return extension


def plugins_in(document: Document) -> Iterator[tuple[str, str]]:
    """The plugins that a document names, each with its place. Raises SpecError where the key is wrong."""
    if PLUGINS_KEY not in document.values:
        return
    try:
        names = plugin_names(document.values[PLUGINS_KEY])
    except ValueError as error:
        raise SpecError(f"{document.origin(PLUGINS_KEY)}: {PLUGINS_KEY}: {error}") from error
    for position, name in enumerate(names):
        yield name, document.origin(PLUGINS_KEY, position)
