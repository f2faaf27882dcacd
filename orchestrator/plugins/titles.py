"""What captions and tables call the entries of a plugin: its dictionary `TITLES`, which it need not have."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.plugins.error import PluginError
from orchestrator.plugins.loading import import_module
from orchestrator.plugins.places import Places
from orchestrator.workload.plugin_part import PluginPart, PluginSource

__all__ = ["TITLES", "read_titles", "title_in_plugin"]

TITLES = "TITLES"
"""Name of the dictionary: `TITLES = {"boundary": "Boundary sampling"}`."""


def read_titles(source: PluginSource) -> Mapping[str, str]:
    """The titles of a plugin by name of the entry; none without the dictionary. Raises PluginError for a mistake."""
    module = import_module(source)
    found: Mapping[str, str] = vars(module).get(TITLES, {})
    texts = [*found, *found.values()] if isinstance(found, Mapping) else [None]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        text = f'must map names of entries to texts; write {TITLES} = {{"my_name": "My name"}}'
        raise PluginError(f"{Places(module, source.path).of(TITLES)}: {TITLES}: {text}")
    return found


def title_in_plugin(part: PluginPart) -> str:
    """The title of an entry; its name where the plugin gives none. Raises PluginError."""
    return read_titles(part.source).get(part.name, part.name)
