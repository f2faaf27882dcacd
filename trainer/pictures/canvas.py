"""Text, legends and files of bounded size for all pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from trainer.data.source import Colour

__all__ = ["BLACK", "FONT", "LINE", "WHITE", "draw_legend", "legend_height", "save", "write"]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FONT = ImageFont.load_default()
LINE = 16
"""Height of a line of text, pixels."""
ENTRY = 130
"""Width of a legend entry, pixels."""
MAX_BYTES = 300_000
SMALLEST_SIDE = 64
MOST_EXACT = 192


def save(picture: Image.Image, path: Path, exact: Sequence[Colour] = ()) -> Path:
    """Write a PNG of at most 256 colours, including `exact`; a picture above `MAX_BYTES` is made smaller."""
    while True:
        write(reduced(picture, tuple(exact)[:MOST_EXACT]), path, format="PNG", optimize=True)
        if path.stat().st_size < MAX_BYTES or min(picture.size) < SMALLEST_SIDE:
            return path
        width, height = picture.size
        picture = picture.resize((width * 4 // 5, height * 4 // 5), Image.Resampling.LANCZOS)


def write(picture: Image.Image, path: Path, **options: Any) -> Path:
    """Write a picture with `options` of `Image.save`; returns the path."""
    path.unlink(missing_ok=True)  # it may be a link, which is not followed
    with path.open("xb") as file:
        picture.save(file, **options)
    return path


def reduced(picture: Image.Image, exact: Sequence[Colour]) -> Image.Image:
    """The picture in 256 colours: those of `exact`, which may be rare, and the best others."""
    free = 256 - len(exact)
    best = picture.quantize(free, dither=Image.Dither.NONE).getpalette() or []
    colours = Image.new("P", (1, 1))
    colours.putpalette([*best[: 3 * free], *(value for colour in exact for value in colour)])
    return picture.quantize(palette=colours, dither=Image.Dither.NONE)


def legend_height(entries: int, width: int) -> int:
    """Height of a legend, pixels."""
    columns = max(1, width // ENTRY)
    return LINE * -(-entries // columns)


def draw_legend(picture: Image.Image, top: int, names: Sequence[str], palette: Sequence[Colour]) -> None:
    """Draw a coloured square and the name of each class below row `top`."""
    pen = ImageDraw.Draw(picture)
    columns = max(1, picture.width // ENTRY)
    for entry, (name, colour) in enumerate(zip(names, palette, strict=True)):
        x, y = entry % columns * ENTRY, top + entry // columns * LINE
        pen.rectangle((x + 4, y + 3, x + 14, y + 13), fill=colour, outline=BLACK)
        pen.text((x + 19, y + 2), name[:18], fill=BLACK, font=FONT)
