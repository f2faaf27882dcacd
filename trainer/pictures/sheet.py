"""The qualitative sheet: image, truth, prediction and errors side by side.   Axes: H W image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from trainer.data.reading.palette import colour_labels
from trainer.data.source import IGNORE_INDEX, Colour, Pixels
from trainer.pictures.canvas import BLACK, FONT, LINE, WHITE, draw_legend, legend_height

__all__ = ["draw_errors", "draw_sheet"]

COLUMNS = ("image", "truth", "prediction", "errors")
CELL_WIDTH = 240
GAP = 4
WRONG: Colour = (214, 39, 40)


def draw_sheet(
    examples: Sequence[tuple[Pixels, Pixels, Pixels]], names: Sequence[str], palette: Sequence[Colour]
) -> Image.Image:
    """Draw a heading, a row for each (image, truth, prediction), and a legend of the classes."""
    rows = [
        (image_HW3, colour_labels(truth_HW, palette), colour_labels(guess_HW, palette), draw_errors(*example))
        for example in examples
        for image_HW3, truth_HW, guess_HW in [example]
    ]
    heights = [round(CELL_WIDTH * row[0].shape[0] / row[0].shape[1]) for row in rows]
    width = len(COLUMNS) * (CELL_WIDTH + GAP) - GAP
    bottom = LINE + sum(heights) + GAP * len(rows)
    sheet = Image.new("RGB", (width, bottom + legend_height(len(names), width)), WHITE)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(COLUMNS):
        pen.text((column * (CELL_WIDTH + GAP) + 2, 2), title, fill=BLACK, font=FONT)
    top = LINE
    for row, height in zip(rows, heights, strict=True):
        for column, pixels_HW3 in enumerate(row):
            how = Image.Resampling.BILINEAR if column == 0 else Image.Resampling.NEAREST
            cell = Image.fromarray(np.ascontiguousarray(pixels_HW3)).resize((CELL_WIDTH, height), how)
            sheet.paste(cell, (column * (CELL_WIDTH + GAP), top))
        top += height + GAP
    draw_legend(sheet, bottom, names, palette)
    return sheet


def draw_errors(image_HW3: Pixels, truth_HW: Pixels, guess_HW: Pixels) -> Pixels:
    """Wrong pixels in red over a faded grey image; void pixels in black."""
    grey_HW = 255 - (255 - image_HW3.mean(axis=2)) / 2
    errors_HW3 = np.repeat(grey_HW[..., None], 3, axis=2).astype(np.uint8)
    errors_HW3[truth_HW != guess_HW] = WRONG
    errors_HW3[truth_HW == IGNORE_INDEX] = BLACK
    return errors_HW3
