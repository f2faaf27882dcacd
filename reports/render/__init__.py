"""The formats of a table: each a pure function from `Table` to text, and the name of its file.

Parquet holds the single runs instead (`reports.render.parquet`). May import `reports.tables`.
"""

from __future__ import annotations

from collections.abc import Callable

from reports.render.csv import render_csv
from reports.render.html import render_html
from reports.render.latex import render_latex, render_preview
from reports.render.markdown import render_markdown
from reports.tables.table import Table

__all__ = ["STYLES"]

STYLES: dict[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": ("table.md", render_markdown),
    "latex": ("table.tex", render_latex),
    "preview": ("preview.tex", render_preview),
    "html": ("table.html", render_html),
    "csv": ("table.csv", render_csv),
}
"""File name and renderer by the name of the style on the command line."""
