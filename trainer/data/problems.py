"""What is wrong with the pairs of a data set: a line for each, and one for all labels with illegal ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.errors import DataError

__all__ = ["IllegalLabelError", "Problems"]

MOST_NAMED = 5
"""Illegal ids or colours that a message names: those of the first label, then those with the most pixels."""


class IllegalLabelError(DataError):
    """A label with ids or colours that mean nothing."""

    def __init__(self, path: Path, pixels: Mapping[str, int], remedy: str, *, colours: bool = False) -> None:
        """`pixels` of each illegal id or colour."""
        self.path, self.pixels, self.remedy = path, pixels, remedy
        self.what = "label colour" if colours else "label id"
        super().__init__(IllegalCodes(self).line())

    def __reduce__(self) -> tuple[Any, ...]:
        return DataError, (str(self),)


class IllegalCodes:
    """The illegal ids or colours of one label or more, counted."""

    def __init__(self, first: IllegalLabelError) -> None:
        self.first, self.count = first, 0
        self.pixels: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        """By id or colour, the labels that have it."""
        self.add(first)

    def add(self, error: IllegalLabelError) -> None:
        """Count a label."""
        self.count += 1
        self.pixels.update(error.pixels)
        self.labels.update(error.pixels.keys())

    def line(self) -> str:
        """`masks/a.png: label id 4 (96 pixels in 2 labels), 7 (5 pixels in 1 label); add ...`."""
        order = sorted(self.pixels, key=lambda code: (code not in self.first.pixels, -self.pixels[code]))
        named = ", ".join(f"{code} ({self.extent(code)})" for code in order[:MOST_NAMED])
        more = f" and {len(order) - MOST_NAMED} more" if len(order) > MOST_NAMED else ""
        return f"{self.first.path}: {self.first.what} {named}{more}; {self.first.remedy}"

    def extent(self, code: str) -> str:
        """Pixels of an id or colour, and in how many labels if there are several."""
        pixels = counted(self.pixels[code], "pixel")
        return pixels if self.count == 1 else f"{pixels} in {counted(self.labels[code], 'label')}"


class Problems:
    """The problems that were found, in order."""

    def __init__(self) -> None:
        self.count = 0
        """Files with a problem."""
        self._plain: list[str] = []
        self._illegal: dict[tuple[str, str], IllegalCodes] = {}
        """By what is illegal and its remedy."""

    def add(self, error: DataError) -> None:
        """Note a problem."""
        self.count += 1
        if not isinstance(error, IllegalLabelError):
            self._plain.append(str(error))
        elif (known := self._illegal.get((error.what, error.remedy))) is not None:
            known.add(error)
        else:
            self._illegal[error.what, error.remedy] = IllegalCodes(error)

    def lines(self) -> list[str]:
        """One sentence each; labels with illegal ids or colours are one."""
        return [*self._plain, *(codes.line() for codes in self._illegal.values())]


def counted(number: int, what: str) -> str:
    """`1 label`, `2 labels`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
