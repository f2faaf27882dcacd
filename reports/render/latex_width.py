"""How wide texts are in Computer Modern, so that the float of a table is chosen without running TeX.   Unit: pt.

Fonts that papers set instead, such as Times, are narrower.
"""

from __future__ import annotations

__all__ = ["COLUMN", "PAGE", "TEXT", "width_of"]

COLUMN = 228.0
"""One column of a two-column page: article on letter paper has 230, CVPR 237, IEEEtran 252."""
TEXT = 345.0
"""The text of a page with one column: article 345, LNCS 347, NeurIPS 397."""
PAGE = 450.0
"""Both columns of a two-column page: article on A4 453, CVPR 497."""

PER_MILLE = {
    character: width
    for width, characters in {
        278: "!'’‘,.:;[]il",
        306: "fj",
        333: " -",
        361: "I",
        389: "()t",
        393: "rs",
        444: "cez†‡§",
        472: "?",
        500: '"“”$*/0123456789ago–‖↑↓',
        528: "kvxy",
        556: "bdhnpquSJ",
        611: "ZL¶",
        653: "F",
        681: "EP",
        722: "BCTwR",
        764: "ADGHNUVXYKOQ",
        778: "&@+=<>±×−≈≤≥",
        833: "#%mΔ",
        917: "M",
        1000: "W→←—…",
    }.items()
    for character in characters
}
"""Of cmr10, in thousandths of its size."""
OTHERS = 650
"""For characters that are not in the table."""
SMALL_ARE_WIDER = {10: 1.0, 9: 1.03, 8: 1.07, 7: 1.14, 6: 1.23, 5: 1.37}
"""The fonts below 10 pt are not scaled down: their letters are wider."""


def width_of(text: str, size: int) -> float:
    """Width of a line of plain text in a font of `size` pt, 5 to 10."""
    return sum(PER_MILLE.get(character, OTHERS) for character in text) / 1000 * size * SMALL_ARE_WIDER[size]
