r"""`NumberShape`: what the numbers of a column need so that their decimal points align.

A number that lacks a digit or a sign has an invisible one (`\phantom`), so that all are equally wide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reports.render.latex_width import width_of

__all__ = ["NumberShape", "is_number"]

NUMBER = re.compile(r"(?P<sign>[-+]|< )?(?P<whole>\d+)(?P<fraction>\.\d+)?")
SIGNS = {"": "", "-": "$-$", "+": "$+$", "< ": r"$<$\,"}


def is_number(text: str) -> bool:
    """Whether `text` is a number as cells print it: `43.10`, `-0.04`, `< 0.001`."""
    return NUMBER.fullmatch(text) is not None


def parts_of(text: str) -> tuple[str, str, str]:
    """Sign, digits before the point, and the point with the digits behind it."""
    match = NUMBER.fullmatch(text)
    assert match is not None, f"{text!r} is not a number"  # noqa: S101 - callers ask `is_number`
    return match["sign"] or "", match["whole"], match["fraction"] or ""


def point_and_zeros(count: int) -> str:
    """`.00` for three characters."""
    return f".{'0' * (count - 1)}" if count else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberShape:
    """The widest of several numbers, part by part."""

    sign: str = ""
    whole: int = 0
    """Digits before the point; 0 where there is no number."""
    fraction: int = 0
    """Characters from the point on."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> NumberShape:
        """The shape of numbers."""
        found = [parts_of(text) for text in texts]
        return cls(
            sign=max((sign for sign, _, _ in found), key=len, default=""),
            whole=max((len(whole) for _, whole, _ in found), default=0),
            fraction=max((len(fraction) for _, _, fraction in found), default=0),
        )

    @property
    def widest(self) -> str:
        """A number of this shape, in plain text; empty where there is none."""
        return f"{self.sign}{'0' * self.whole}{point_and_zeros(self.fraction)}" if self.whole else ""

    def aligned(self, text: str, command: str = "") -> str:
        r"""A number in text mode, padded to this shape.

        `command` is one such as `\underline`.
        """
        sign, whole, fraction = parts_of(text)
        before = r"\phantom{" + "0" * (self.whole - len(whole)) + "}" if len(whole) < self.whole else ""
        before = (r"\phantom{" + SIGNS[self.sign] + "}" if self.sign and not sign else "") + before
        lacking = point_and_zeros(self.fraction)[len(fraction) :]
        behind = r"\phantom{" + lacking + "}" if lacking else ""
        shown = f"{SIGNS[sign]}{whole}{fraction}"
        return f"{before}{f'{command}{{{shown}}}' if command else shown}{behind}"

    def aligned_in_math(self, text: str) -> str:
        """A signed number in math mode, padded to this shape."""
        sign, whole, fraction = parts_of(text)
        digits = "0" * (self.whole - len(whole))
        lacking = f"{'' if sign or not self.sign else '+'}{digits}"
        return f"{f'{chr(92)}phantom{{{lacking}}}' if lacking else ''}{sign}{whole}{fraction}"

    def width(self, size: int) -> float:
        """Width in pt in a font of `size` pt."""
        return width_of(self.widest, size)
