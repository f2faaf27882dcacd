"""The table of the peers, made from the figures of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["AGAIN", "FIRST", "OUTSIDE", "REPEATED", "SHORT", "WALL", "peers_table"]

WALL = "wall time"
FIRST = "time until the first step"
OUTSIDE = "CPU time outside the work"
REPEATED = "finished trials run again after a kill"
AGAIN = "wall time after the kill"
COLUMNS = {
    WALL: "wall, s",
    FIRST: "first step, s",
    OUTSIDE: "CPU outside the work, s",
    REPEATED: "re-run after the kill",
    AGAIN: "wall after the kill, s",
}
"""Figures of a peer, and how the table calls them."""
SHORT = {WALL: "wall, s", FIRST: "first step, s", REPEATED: "re-run after a kill"}
"""Those of the README."""


def peers_table(figures: Sequence[dict[str, Any]], bold: str, columns: Mapping[str, str] = COLUMNS) -> list[str]:
    """A Markdown table with a line for each peer, fastest first; that of `bold` is bold."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for figure in figures:
        title, _, kind = figure["figure"].partition(": ")
        if kind in columns and not figure["goal"]:
            found.setdefault(title, {})[kind] = figure
    lines = [f"| | {' | '.join(columns.values())} |", f"| --- |{' ---: |' * len(columns)}"]
    for title in sorted(found, key=lambda name: float(found[name][WALL]["ours"])):
        cells = [title, *(amount(found[title].get(kind)) for kind in columns)]
        lines.append("| " + " | ".join(f"**{cell}**" if title == bold else cell for cell in cells) + " |")
    return lines


def amount(figure: dict[str, Any] | None) -> str:
    """`12.0` seconds, `0` trials; a dash for what was not measured."""
    if figure is None:
        return "-"
    return f"{figure['ours']:.1f}" if figure["unit"] else f"{figure['ours']:.0f}"
