"""A figure as PDF, PNG and SVG; equal figures give equal bytes."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.backends.backend_pdf
import matplotlib.backends.backend_svg  # noqa: F401 - both are imported with the first file otherwise
from matplotlib import rc_context
from matplotlib.figure import Figure

from reports.figures.style import LIGHT, Style, settings

__all__ = ["PNG_DPI", "render"]

PNG_DPI = 300

METADATA: Mapping[str, Mapping[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
"""The files contain neither a time nor a version."""

FORMATS = tuple(METADATA)

logging.getLogger("fontTools.ttLib").setLevel(logging.ERROR)  # the dates in cmr10 are unusual


def render(figure: Figure, formats: Iterable[str] = FORMATS, style: Style = LIGHT) -> dict[str, bytes]:
    """The content of a file of each format, of a figure drawn in `style`.

    Fonts are embedded as TrueType in the PDF and drawn as paths in the SVG.
    """
    contents = {}
    with rc_context(settings(style)):
        for kind in formats:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=dict(METADATA[kind]))
            contents[kind] = buffer.getvalue()
    return contents
