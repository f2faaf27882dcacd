"""Notes on plugins below a table: which entries are of which code, and options that an entry does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestrator.machine.first_few import first_few
from orchestrator.planning.build_config import ResolvedRow
from orchestrator.workload.extension import Extension

__all__ = ["plugin_notes"]

MOST_NAMED = 6
"""Rows that a note names."""


def plugin_notes(extension: Extension | None, rows: Iterable[tuple[str, ResolvedRow]]) -> Iterator[str]:
    """One sentence for all plugins, with digests, and one for each option without effect, with the rows that set it."""
    if extension is None:
        return
    found = [f"{', '.join(names)} ({Path(source.path).name}, {source.digest})" for source, names in extension.names]
    yield f"Code from plugins: {'; '.join(found)}."
    labels: dict[str, list[str]] = {}
    for label, row in rows:
        given = {key: setting.value for key, setting in row.sources.settings.items()}
        for key, reason in extension.ignored(given).items():
            labels.setdefault(f"{key}: {given[key]} has no effect: {reason}", []).append(label)
    for text, rows_of in labels.items():
        yield f"{text} ({first_few(list(dict.fromkeys(rows_of)), MOST_NAMED, '; ')})."
