"""How figures look: sizes of a two-column paper, a palette safe for colour blindness, light and dark.

Figures are drawn without pyplot: each belongs to its caller, and there is no global state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reports.figures import computer_modern

__all__ = ["COLUMN", "DARK", "LIGHT", "PAGE", "PAPERS", "Style", "canvas"]

COLUMN = 3.3
"""Width of one column of a two-column paper, inches."""
PAGE = 6.8
"""Width of both columns, inches."""

FONT_SIZE = 8.0
"""Points, as the captions around the figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """Colours of a figure."""

    background: str
    text: str
    grid: str
    muted: str
    """For what is less important: dominated points, series beyond the palette."""
    cycle: tuple[str, ...]
    """One colour per series, distinguishable with every colour blindness; repeated with other dashes."""
    gain: str
    loss: str
    font: str = "DejaVu Sans"
    """Shipped with matplotlib, as all that we use: the same bytes on every machine."""

    @property
    def first(self) -> str:
        """The colour of a figure with one series."""
        return self.cycle[0]


# Okabe & Ito 2008; without their yellow on white, which is too light, and their black, the colour of text
LIGHT = Style(
    background="#ffffff",
    text="#1a1a1a",
    grid="#d9d9d9",
    muted="#8c8c8c",
    cycle=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    gain="#0072b2",
    loss="#d55e00",
)
DARK = Style(
    background="#14171c",
    text="#e6e6e6",
    grid="#3a3f47",
    muted="#8a919c",
    cycle=("#56b4e9", "#e69f00", "#2fbf97", "#cc79a7", "#f0e442", "#e57a3c"),
    gain="#56b4e9",
    loss="#e57a3c",
)
PAPERS = {
    "computer-modern": replace(LIGHT, font=computer_modern.FONT),
    "times": replace(LIGHT, font="STIXGeneral"),
}
"""Figures of papers, by the font of the text (`reports.figures.drawing.PAPER_FONTS`)."""

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
"""One for each repetition of the palette."""


def line_style(style: Style, index: int) -> dict[str, Any]:
    """Colour and dashes of series `index`; series beyond all combinations are thin and muted."""
    round_, position = divmod(index, len(style.cycle))
    if round_ >= len(DASHES):
        return {"color": style.muted, "linestyle": "-", "linewidth": 0.5}
    return {"color": style.cycle[position], "linestyle": DASHES[round_], "linewidth": 1.2}


def settings(style: Style) -> Any:
    """Matplotlib settings for `rc_context`."""
    return {
        "font.family": [style.font, "DejaVu Sans"],
        "mathtext.fontset": "cm",
        "font.size": FONT_SIZE,
        "text.parse_math": style.font == computer_modern.FONT,  # elsewhere `$` is a character
        "text.usetex": False,
        "text.color": style.text,
        "axes.titlesize": FONT_SIZE,
        "axes.labelsize": FONT_SIZE,
        "axes.labelcolor": style.text,
        "axes.edgecolor": style.text,
        "axes.facecolor": style.background,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.formatter.use_mathtext": style.font == computer_modern.FONT,
        "axes.unicode_minus": True,
        "grid.color": style.grid,
        "grid.linewidth": 0.5,
        "xtick.color": style.text,
        "ytick.color": style.text,
        "xtick.labelsize": FONT_SIZE - 1,
        "ytick.labelsize": FONT_SIZE - 1,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "legend.fontsize": FONT_SIZE - 1,
        "legend.title_fontsize": FONT_SIZE - 1,
        "legend.frameon": False,
        "legend.handlelength": 1.8,
        "lines.linewidth": 1.2,
        "hatch.linewidth": 0.5,
        "hatch.color": style.muted,
        "figure.labelsize": FONT_SIZE - 1,
        "figure.facecolor": style.background,
        "figure.edgecolor": style.background,
        "savefig.facecolor": "auto",
        "figure.constrained_layout.h_pad": 0.02,
        "figure.constrained_layout.w_pad": 0.02,
        "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
        "svg.fonttype": "path",
        "svg.hashsalt": "contrast-sweep",
    }


@contextmanager
def canvas(width: float, height: float, style: Style) -> Iterator[tuple[Figure, Axes]]:
    """A figure of `width` x `height` inches with one pair of axes, to be drawn inside the block."""
    with rc_context(settings(style)):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()
        if style.font == computer_modern.FONT:
            computer_modern.set_in_computer_modern(figure)
        figure.draw_without_rendering()  # makes the ticks with these settings and computes the layout
