"""Where pdflatex has set each character, from a PDF that it wrote without compression (`UNCOMPRESSED`)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNCOMPRESSED = r"\pdfcompresslevel=0 \pdfobjcompresslevel=0 "
OBJECT = re.compile(rb"(\d+) 0 obj\s(.*?)\sendobj", re.S)
FONT = re.compile(rb"/(F\d+) (\d+) 0 R")
TOKEN = re.compile(
    rb"/(F\d+) ([\d.]+) Tf|([-\d.]+) ([-\d.]+) Td|\[((?:\\.|\((?:\\.|[^\\()])*\)|[^]\\(])*)\]TJ|\b(BT)\b"
)
PIECE = re.compile(rb"\(((?:\\.|[^\\()])*)\)|([-\d.]+)", re.S)
ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.S)


@dataclass(frozen=True)
class Glyph:
    code: int
    """In the encoding of the font: that of ASCII for letters, digits and the point of text fonts."""
    x: float
    y: float
    size: float


def glyphs(path: Path) -> Iterator[Glyph]:
    """All characters of a document.   Unit: PDF points (1/72 inch)."""
    objects = {int(number): body for number, body in OBJECT.findall(path.read_bytes())}
    for body in objects.values():
        if b"/Type /Page\n" not in body + b"\n" and b"/Type /Page " not in body:
            continue
        fonts = {}
        resources = objects[reference(body, b"Resources")]
        for name, number in FONT.findall(resources):
            font = objects[int(number)]
            first = int(re.search(rb"/FirstChar (\d+)", font)[1])
            widths = [float(width) for width in objects[reference(font, b"Widths")].strip(b"[] \n").split()]
            fonts[name] = dict(enumerate(widths, first))
        yield from shown(objects[reference(body, b"Contents")], fonts)


def reference(body: bytes, key: bytes) -> int:
    return int(re.search(rb"/" + key + rb" (\d+) 0 R", body)[1])


def shown(content: bytes, fonts: dict[bytes, dict[int, float]]) -> Iterator[Glyph]:
    x = y = size = 0.0
    widths: dict[int, float] = {}
    for name, given_size, right, up, pieces, begins in TOKEN.findall(content):
        if begins:
            x = y = 0.0
        elif name:
            widths, size = fonts[name], float(given_size)
        elif right:
            x, y = x + float(right), y + float(up)
        else:
            at = x
            for text, kern in PIECE.findall(pieces):
                if kern:
                    at -= float(kern) / 1000 * size
                for code in ESCAPED.sub(unescaped, text):
                    yield Glyph(code, at, y, size)
                    at += widths[code] / 1000 * size


def unescaped(match: re.Match[bytes]) -> bytes:
    octal = match[1].isdigit()
    return bytes([int(match[1], 8)]) if octal else {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(match[1], match[1])
