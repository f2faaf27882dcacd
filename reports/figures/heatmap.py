"""Two factors: a heat map of the means with their values, and their interaction."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from reports.figures.plots import HeatMap, is_wide
from reports.figures.style import COLUMN, LIGHT, PAGE, Style, canvas
from reports.figures.text import fitted, height_of, literal, under

__all__ = ["draw_heatmap"]

MAP = "cividis"
"""Rises in brightness, and is safe for all kinds of colour blindness."""


def draw_heatmap(data: HeatMap, *, style: Style = LIGHT, width: float | None = None) -> Figure:
    """Cells coloured from the lowest to the highest mean. Brighter means higher, not better.

    A map with more than six levels on the x axis is as wide as both columns of a page, unless `width` says otherwise.
    """
    width = width or (PAGE if is_wide(data) else COLUMN)
    columns, rows = len(data.x_levels), len(data.y_levels)
    seen = data.mean_YX[np.isfinite(data.mean_YX)]
    letters = int((width - 1.6) / columns / 0.06)  # in the width of a cell
    steep = any(len(word) > letters for level in data.x_levels for word in level.split())
    x_labels = [fitted(level, 18, 1) if steep else fitted(level, letters) for level in data.x_levels]
    y_labels = [fitted(level, 18) for level in data.y_levels]
    foot = under(width, data.note, "Hatched: no value" if seen.size < data.mean_YX.size else "")
    height = 0.6 + rows * (0.36 if data.std_YX is not None else 0.28) + height_of(foot)
    height += 0.055 * max(map(len, x_labels)) if steep else 0.0
    with canvas(width, max(height, 1.5), style) as (figure, axes):
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
        high = high if high > low else low + 1.0
        axes.set_facecolor(style.background)
        image = axes.imshow(data.mean_YX, cmap=MAP, vmin=low, vmax=high, aspect="auto")
        size = 7.0 if columns * max(len(f"{low:.{data.decimals}f}"), 4) * 0.066 < width - 1.3 else 5.5
        for y in range(rows):
            for x in range(columns):
                mean = data.mean_YX[y, x]
                if not np.isfinite(mean):
                    axes.fill_between((x - 0.5, x + 0.5), y - 0.5, y + 0.5, facecolor="none", hatch="////", linewidth=0)
                    continue
                std = np.nan if data.std_YX is None else data.std_YX[y, x]
                text = f"{mean:.{data.decimals}f}" + (f"\n±{std:.{data.decimals}f}" if np.isfinite(std) else "")
                dark = is_dark((mean - low) / (high - low))
                axes.text(x, y, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")
        axes.set_xticks(range(columns), x_labels, rotation=90 if steep else 0)
        axes.set_yticks(range(rows), y_labels)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel(fitted(data.x_name, int(width * 11), 1))
        figure.supxlabel(foot)
        axes.set_ylabel(literal(data.y_name))
        if seen.size:
            bar = figure.colorbar(image, ax=axes, aspect=24, pad=0.02)
            bar.set_label(literal(data.name))
            bar.outline.set_visible(False)
    return figure


def is_dark(share: float) -> bool:
    """Whether white is easier to read than black on the colour at `share` of the colour map (WCAG luminance)."""
    red, green, blue, _ = (part**2.2 for part in colormaps[MAP](float(share)))
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.18)
