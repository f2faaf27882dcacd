"""The formats of a table: each a pure function from `Table` to text, and the suffix of its file."""

from __future__ import annotations

from collections.abc import Callable

from reports.render.csv import render_csv
from reports.render.html import render_html
from reports.render.latex import render_latex
from reports.render.markdown import render_markdown
from reports.tables import Table

__all__ = ["STYLES", "render_csv", "render_html", "render_latex", "render_markdown"]

STYLES: dict[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": ("md", render_markdown),
    "latex": ("tex", render_latex),
    "html": ("html", render_html),
    "csv": ("csv", render_csv),
}
"""Names as on the command line."""
