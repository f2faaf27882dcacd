"""Notes on plugins below a table: which entries are of which code, and options that an entry does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.planning.build_config import ResolvedRow
from orchestrator.planning.key_forecast import name_rows

if TYPE_CHECKING:
    from trainer.plugins.options import Extension

__all__ = ["plugin_notes"]


def plugin_notes(extension: Extension | None, rows: Iterable[tuple[str, ResolvedRow]]) -> Iterator[str]:
    """One sentence for each plugin, with its digest, and for each option without effect, with the rows that set it."""
    if extension is None:
        return
    for plugin in extension.plugins:
        names = ", ".join(name for entries in plugin.tables.values() for name in entries)
        yield f"{names}: of the plugin {Path(plugin.source.path).name} ({plugin.source.digest})."
    labels: dict[str, list[str]] = {}
    for label, row in rows:
        given = {key: setting.value for key, setting in row.sources.settings.items()}
        for key, reason in extension.ignored(given).items():
            labels.setdefault(f"{key}: {given[key]} has no effect: {reason}", []).append(label)
    for text, found in labels.items():
        yield f"{text} ({name_rows(list(dict.fromkeys(found)))})."
