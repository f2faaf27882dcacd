"""What is to be drawn, and a digest of it: equal digests mean files with equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from reports.figures.plots import Plot

__all__ = ["PAPER_FONTS", "DrawFigures", "Drawing"]

LIGHT_FORMATS, DARK_FORMATS, PAPER_FORMATS = ("pdf", "png", "svg"), ("svg",), ("pdf",)
"""A page also has dark figures, and those of a paper are in the font of its text."""

PAPER_FONTS = ("computer-modern", "times")
"""That of LaTeX, and that of CVPR, ICCV and NeurIPS."""

LIBRARIES = ("matplotlib", "fonttools", "numpy", "pillow")
"""Installed packages of which the bytes of a figure depend on the version."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure in light or in dark colours, or in the font of a paper."""

    figure: str
    """Its name, such as `means`."""
    plot: Plot
    dark: bool = False
    paper: str = ""
    """One of `PAPER_FONTS`, for a figure of a paper."""

    @property
    def name(self) -> str:
        """First part of the names of its files: `means`, or `means-dark`."""
        return f"{self.figure}-dark" if self.dark else self.figure

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of its files."""
        return PAPER_FORMATS if self.paper else DARK_FORMATS if self.dark else LIGHT_FORMATS

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the data, the code that draws them, and the versions of the libraries, hexadecimal."""
        text = json.dumps([code_digest(), self.plot, self.dark, self.paper], default=plain, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


DrawFigures = Callable[[Sequence[Drawing]], Mapping[str, Mapping[str, bytes] | str]]
"""Draws figures: by name, the content of the file of each format, or why there is none, in one line."""


def plain(value: Any) -> Any:
    """What JSON has no word for: an array, a number of NumPy, or the type and the fields of a data class."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [type(value).__name__, {item.name: getattr(value, item.name) for item in fields(value)}]


@cache
def code_digest() -> str:
    """SHA-256 of the modules of this package and the versions of the libraries that they use."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.read_bytes())
    for name in LIBRARIES:
        try:
            total.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:  # drawing will say what is missing
            total.update(f"{name}\n".encode())
    return total.hexdigest()
