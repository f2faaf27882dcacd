"""Colours for classes that bring none: PASCAL VOC's rule, which spreads the bits of an id over red, green and blue."""

from __future__ import annotations

__all__ = ["spread_colours"]


def spread_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` different colours, at most 255, none of them black (black is void)."""
    return tuple(spread_colour(index) for index in range(1, count + 1))


def spread_colour(index: int) -> tuple[int, int, int]:
    """The VOC colour of `index`: its bits 0, 3, 6 make red, 1, 4, 7 green and 2, 5 blue, lowest bit brightest."""
    channels = [0, 0, 0]
    for bit in range(8):
        if index >> bit & 1:
            channels[bit % 3] |= 1 << (7 - bit // 3)
    return channels[0], channels[1], channels[2]
