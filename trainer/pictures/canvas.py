"""What all pictures share: text, legends, label colours, and files of bounded size.   Axes: H W image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trainer.data.source import Pixels

__all__ = ["BLACK", "FONT", "LINE", "WHITE", "Colour", "colour_labels", "draw_legend", "legend_height", "save"]

Colour = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FONT = ImageFont.load_default()
LINE = 16
"""Height of a line of text, pixels."""
ENTRY = 130
"""Width of an entry of a legend, pixels."""
MAX_BYTES = 300_000
SMALLEST_SIDE = 64
MOST_EXACT = 192


def save(picture: Image.Image, path: Path, exact: Sequence[Colour] = ()) -> Path:
    """Write a PNG of at most 256 colours, some of them `exact`; one too large for `MAX_BYTES` is made smaller."""
    while True:
        reduced(picture, tuple(exact)[:MOST_EXACT]).save(path, optimize=True)
        if path.stat().st_size < MAX_BYTES or min(picture.size) < SMALLEST_SIDE:
            return path
        width, height = picture.size
        picture = picture.resize((width * 4 // 5, height * 4 // 5), Image.Resampling.LANCZOS)


def reduced(picture: Image.Image, exact: Sequence[Colour]) -> Image.Image:
    """Return the picture in 256 colours: those of `exact`, which may be rare, and the best for the rest."""
    free = 256 - len(exact)
    best = picture.quantize(free, dither=Image.Dither.NONE).getpalette() or []
    colours = Image.new("P", (1, 1))
    colours.putpalette([*best[: 3 * free], *(value for colour in exact for value in colour)])
    return picture.quantize(palette=colours, dither=Image.Dither.NONE)


def colour_labels(label_HW: NDArray[np.integer], palette: Sequence[Colour]) -> Pixels:
    """Return the label map in the colours of its classes, (H, W, 3); void is black."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(palette)] = palette
    colour_HW3: Pixels = table[label_HW]
    return colour_HW3


def legend_height(entries: int, width: int) -> int:
    """Return how many pixels `draw_legend` needs."""
    columns = max(1, width // ENTRY)
    return LINE * -(-entries // columns)


def draw_legend(picture: Image.Image, top: int, names: Sequence[str], palette: Sequence[Colour], left: int = 0) -> None:
    """Write a coloured square and the name of each class into the rows below `top`."""
    pen = ImageDraw.Draw(picture)
    columns = max(1, (picture.width - left) // ENTRY)
    for entry, (name, colour) in enumerate(zip(names, palette, strict=True)):
        x, y = left + entry % columns * ENTRY, top + entry // columns * LINE
        pen.rectangle((x + 4, y + 3, x + 14, y + 13), fill=colour, outline=BLACK)
        pen.text((x + 19, y + 2), name[:18], fill=BLACK, font=FONT)
