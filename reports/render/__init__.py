"""The styles of a table: each a pure function from `Table` to text, and the name of its file.

Parquet holds the single runs instead (`reports.render.parquet`). May import `reports.tables`.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.plugins.table_style import FILES, TableStyle
from reports.render.csv import render_csv
from reports.render.html import render_html
from reports.render.latex import render_latex, render_preview
from reports.render.markdown import render_markdown

__all__ = ["STYLES", "TableStyle"]

STYLES: Mapping[str, TableStyle] = {
    "markdown": TableStyle(code=render_markdown, file=FILES["markdown"]),
    "latex": TableStyle(code=render_latex, file=FILES["latex"]),
    "preview": TableStyle(code=render_preview, file=FILES["preview"], of_classes=False),
    "html": TableStyle(code=render_html, file=FILES["html"], of_classes=False),
    "csv": TableStyle(code=render_csv, file=FILES["csv"]),
}
"""Styles by their name on the command line; plugins add others (`orchestrator.plugins.table_style`)."""
