"""A figure as PDF, PNG and SVG; equal figures give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from orchestrator.machine.atomic_file import replace_file
from reports.figures.style import LIGHT, settings

__all__ = ["FORMATS", "PNG_DPI", "save"]

PNG_DPI = 300

METADATA: Mapping[str, Mapping[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
"""The files contain neither a time nor a version."""

FORMATS = tuple(METADATA)


def save(figure: Figure, stem: Path, formats: Iterable[str] = FORMATS) -> dict[str, Path]:
    """Write `<stem>.pdf`, `<stem>.png` and `<stem>.svg`, each atomically; returns the paths by format.

    Fonts are embedded as TrueType in the PDF and drawn as paths in the SVG. Raises OSError when the folder cannot be
    written.
    """
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in formats}
    with rc_context(settings(LIGHT)):
        for kind, path in paths.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=dict(METADATA[kind]))
            replace_file(path, buffer.getvalue(), durable=False)
    return paths
