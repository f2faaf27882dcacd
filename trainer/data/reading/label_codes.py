"""What the values in label files mean: ids or colours, each a class or void.

Axes: H W height and width of a label, K codes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.problems import IllegalLabelError
from trainer.data.reading.decode import ILLEGAL_ID, LARGEST_RAW_ID, is_array, raw_array, raw_colours, raw_label
from trainer.data.source import IGNORE_INDEX, Colour, Pixels
from trainer.errors import DataError

__all__ = ["LabelCodes", "colour_code", "colour_numbers", "raw_codes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelCodes:
    """The code of each class. A code is an id -32768..65535, or a colour as `colour_code` numbers it."""

    classes: Mapping[int, int]
    """Class 0, 1, ... of each code."""
    ignored: tuple[int, ...] | None = (IGNORE_INDEX,)
    """Codes that are void; None: all that are not in `classes`."""
    colours: bool = False
    """Labels are colours, not ids."""

    @property
    def plain(self) -> bool:
        """Whether ids are the numbers of the classes, and void is 255."""
        identity = all(code == index for code, index in self.classes.items())
        return identity and not self.colours and self.ignored == (IGNORE_INDEX,)

    def content(self) -> str:
        """What decides about classes, as JSON."""
        ignored = None if self.ignored is None else sorted(set(self.ignored))
        return json.dumps([self.colours, sorted(self.classes.items()), ignored])

    def read(self, path: Path, remedy: str) -> Pixels:
        """The classes in a label file. Raises DataError for one that cannot be decoded or has another code."""
        raw_HW = raw_codes(path, colours=self.colours)
        legal = dict.fromkeys(self.ignored or (), IGNORE_INDEX) | dict(self.classes)
        code_K = np.array(sorted(legal), dtype=np.int64)
        class_K = np.array([legal[code] for code in sorted(legal)], dtype=np.int16)
        lowest, highest = int(raw_HW.min(initial=0)), int(raw_HW.max(initial=0))
        if highest - lowest <= LARGEST_RAW_ID:  # a table is faster than a search
            table = np.full(highest - lowest + 1, ILLEGAL_ID, dtype=np.int16)
            inside_K = (code_K >= lowest) & (code_K <= highest)
            table[code_K[inside_K] - lowest] = class_K[inside_K]
            class_HW = table[raw_HW.astype(np.int64) - lowest if lowest else raw_HW]
        else:
            place_HW = np.searchsorted(code_K, raw_HW).clip(max=len(code_K) - 1)
            class_HW = np.where(code_K[place_HW] == raw_HW, class_K[place_HW], np.int16(ILLEGAL_ID))
        wrong_HW = class_HW == ILLEGAL_ID
        if wrong_HW.any():
            if self.ignored is not None:
                raise IllegalLabelError(path, self.counted(raw_HW[wrong_HW]), remedy, colours=self.colours)
            class_HW[wrong_HW] = IGNORE_INDEX
        label_HW: Pixels = class_HW.astype(np.uint8)
        return label_HW

    def counted(self, codes: NDArray[Any]) -> dict[str, int]:
        """Pixels of each code, as messages write it."""
        found, counts = np.unique(codes, return_counts=True)
        texts = [str(colour_of(int(code))) if self.colours else str(code) for code in found]
        return dict(zip(texts, map(int, counts), strict=True))


def raw_codes(path: Path, *, colours: bool) -> NDArray[Any]:
    """The code of each pixel of a label file, (H, W). Raises DataError."""
    if not is_array(path):
        raw = raw_colours(path) if colours else raw_label(path, wide=True)
        return colour_numbers(raw) if colours else raw
    raw = raw_array(path)
    if raw.ndim == 3 and raw.shape[2] == 1:
        raw = raw[..., 0]
    wanted = "height x width x 3 of 8 bits" if colours else "height x width of whole numbers"
    legal = raw.ndim == 3 and raw.shape[2] == 3 and raw.dtype == np.uint8 if colours else raw.ndim == 2
    if not legal or raw.dtype.kind not in "iub":
        raise DataError(f"{path}: {described(raw)}; save labels as {wanted}")
    return colour_numbers(raw) if colours else np.asarray(raw, dtype=np.int64)  # ids may be booleans


def described(array: NDArray[Any]) -> str:
    """`float64 of 64x48x5`."""
    return f"{array.dtype} of {'x'.join(map(str, array.shape)) or 'no axes'}"


def colour_code(colour: Colour) -> int:
    """The number of a colour: red, green and blue in eight bits each."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def colour_of(code: int) -> Colour:
    """Inverse of `colour_code`."""
    return code >> 16, code >> 8 & 255, code & 255


def colour_numbers(colour_HW3: Pixels) -> NDArray[np.int64]:
    """`colour_code` of each pixel, (H, W)."""
    wide_HW3 = colour_HW3.astype(np.int64)
    return wide_HW3[..., 0] << 16 | wide_HW3[..., 1] << 8 | wide_HW3[..., 2]
