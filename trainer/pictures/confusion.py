"""The confusion matrix as a picture: each row is a true class, each cell the share of its pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from trainer.data.source import Colour
from trainer.pictures.canvas import BLACK, FONT, LINE, WHITE

__all__ = ["draw_confusion"]

NAMED_CLASSES = 32
"""With more classes, the cells are too small for text."""
MARGIN = 110
DARK: Colour = (8, 48, 107)


def draw_confusion(pixels: Sequence[Sequence[int]], names: Sequence[str]) -> Image.Image:
    """Draw a confusion matrix (rows truth, columns prediction) in percent of the true class; `-` for absent classes."""
    counts_CC = np.array(pixels, dtype=np.float64)
    truth_C = counts_CC.sum(axis=1)
    share_CC = counts_CC / np.maximum(truth_C, 1)[:, None]
    named = len(names) <= NAMED_CLASSES
    cell, margin = (34, MARGIN) if named else (max(3, 700 // len(names)), LINE)
    side = margin + cell * len(names)
    picture = Image.new("RGB", (side, side), WHITE)
    pen = ImageDraw.Draw(picture)
    pen.text((4, 2), "rows: truth, %" if named else "rows truth, columns prediction", fill=BLACK, font=FONT)
    for row, name in enumerate(names):
        top = margin + row * cell
        for column in range(len(names)):
            left = margin + column * cell
            share = share_CC[row, column]
            pen.rectangle((left, top, left + cell - 1, top + cell - 1), fill=shade(share))
            if named:
                text = "-" if truth_C[row] == 0 else f"{100 * share:.0f}"
                ink = WHITE if share > 0.5 else BLACK
                pen.text((left + cell / 2, top + cell / 2), text, fill=ink, font=FONT, anchor="mm")
        if named:
            pen.text((margin - 4, top + cell / 2), name[:17], fill=BLACK, font=FONT, anchor="rm")
    if named:
        draw_upright(picture, names, margin, cell)
    return picture


def shade(share: float) -> Colour:
    """A colour from white for 0 to dark blue for 1."""
    red, green, blue = (round(255 + (dark - 255) * share) for dark in DARK)
    return red, green, blue


def draw_upright(picture: Image.Image, names: Sequence[str], margin: int, cell: int) -> None:
    """Write the names above the columns, rotated by 90 degrees."""
    strip = Image.new("RGB", (margin - LINE, cell * len(names)), WHITE)
    pen = ImageDraw.Draw(strip)
    for column, name in enumerate(names):
        pen.text((2, (column + 0.5) * cell), name[:17], fill=BLACK, font=FONT, anchor="lm")
    picture.paste(strip.transpose(Image.Transpose.ROTATE_90), (margin, LINE))
