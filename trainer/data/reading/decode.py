"""Decodes image and label files to checked pixels; every failure is a DataError with the file and the remedy.

Imports no torch. Axes: H W image height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.data.source import IGNORE_INDEX, Pair, Pixels
from trainer.errors import DataError

__all__ = [
    "ILLEGAL_ID",
    "LabelTable",
    "decode_image",
    "frozen",
    "image_size",
    "label_table",
    "open_image",
    "raw_label",
    "raw_mat",
    "relabel",
    "require_same_size",
]

LabelTable: TypeAlias = NDArray[np.int16]
"""Class id, `IGNORE_INDEX` or `ILLEGAL_ID` of each raw id 0, 1, ... in the files."""

ILLEGAL_ID = -1
"""Entry of a `LabelTable` for a raw id that must not occur."""

LARGEST_RAW_ID = 2**16 - 1
SINGLE_CHANNEL_8BIT = ("L", "P")
SINGLE_CHANNEL_16BIT = ("I;16", "I;16B", "I")


def label_table(classes: Mapping[int, int], *, ignored: tuple[int, ...] = (IGNORE_INDEX,)) -> LabelTable:
    """The table that maps raw ids to `classes`, `ignored` to void, and any other id to `ILLEGAL_ID`."""
    table = np.full(max(*classes, *ignored, IGNORE_INDEX) + 1, ILLEGAL_ID, dtype=np.int16)
    table[list(ignored)] = IGNORE_INDEX
    table[list(classes)] = list(classes.values())
    return table


def decode_image(path: Path) -> Pixels:
    """The file as `image_HW3`, RGB."""
    with open_image(path) as image:
        return np.array(pixels_of(image, path).convert("RGB"), dtype=np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels; reads only the header."""
    with open_image(path) as image:
        return image.size


def raw_label(path: Path, *, wide: bool = False) -> NDArray[Any]:
    """The raw ids of a label image; `wide` allows 16-bit files."""
    with open_image(path) as image:
        if image.mode not in (SINGLE_CHANNEL_8BIT + SINGLE_CHANNEL_16BIT if wide else SINGLE_CHANNEL_8BIT):
            raise DataError(f"{path}: mode {image.mode}; save labels as single-channel 8-bit PNG of class ids")
        return np.array(pixels_of(image, path))


def raw_mat(path: Path, variable: str) -> NDArray[Any]:
    """The raw ids in `variable` of a MATLAB file."""
    from scipy.io import loadmat  # slow to import, and other data sets do not need it

    try:
        content = loadmat(path, variable_names=[variable])
    except Exception as error:  # scipy raises many types
        raise undecodable(path, error) from error
    if variable not in content:
        raise DataError(f"{path}: no variable {variable!r}; use the annotations of this data set")
    raw_HW = np.asarray(content[variable])
    if raw_HW.ndim != 2 or not np.issubdtype(raw_HW.dtype, np.integer):
        found = f"{raw_HW.dtype} of {raw_HW.ndim} axes"
        raise DataError(f"{path}: {variable!r} is {found}; a label is a height x width matrix of whole numbers")
    return raw_HW


def relabel(raw_HW: NDArray[Any], table: LabelTable, path: Path, remedy: str) -> Pixels:
    """The class ids of raw ids. Raises DataError for an id that is illegal in `table`."""
    for extreme in (raw_HW.min(initial=0), raw_HW.max(initial=0)):
        if not 0 <= extreme <= LARGEST_RAW_ID:
            raise DataError(f"{path}: label id {extreme}; {remedy}")
    counts = np.bincount(raw_HW.reshape(-1).astype(np.intp), minlength=len(table))
    known = np.concatenate([table, np.full(len(counts) - len(table), ILLEGAL_ID, dtype=np.int16)])
    if len(illegal := np.flatnonzero((counts > 0) & (known == ILLEGAL_ID))):
        raise DataError(f"{path}: label id {', '.join(map(str, illegal))}; {remedy}")
    label_HW: Pixels = table.astype(np.uint8)[raw_HW]  # no pixel has ILLEGAL_ID
    return label_HW


def require_same_size(label_HW: Pixels, size: tuple[int, int], image_path: Path, label_path: Path) -> None:
    """Raise DataError unless the label has the (width, height) of the image."""
    height, width = label_HW.shape
    if (width, height) != size:
        raise DataError(
            f"{label_path}: {width}x{height} pixels, but {image_path.name} has {size[0]}x{size[1]}; "
            "resize the label with nearest neighbour"
        )


def frozen(image_HW3: Pixels, label_HW: Pixels) -> Pair:
    """A read-only pair."""
    for pixels in (image_HW3, label_HW):
        pixels.setflags(write=False)
    return image_HW3, label_HW


def open_image(path: Path) -> Image.Image:
    """Open an image and read its header. Raises DataError."""
    try:
        return Image.open(path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise undecodable(path, error) from error


def pixels_of(image: Image.Image, path: Path) -> Image.Image:
    """`image` with decoded pixels. Raises DataError for a truncated or damaged file."""
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise undecodable(path, error) from error
    return image


def undecodable(path: Path, error: Exception) -> DataError:
    """The error for a damaged file, in one line."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"{path}: cannot be decoded ({reason}); copy the file again")
