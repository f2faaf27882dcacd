"""Image and label files -> checked pixels; every failure is a DataError that names the file and the remedy.

No torch here. Axes: H W image height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
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
    "plain_table",
    "raw_label",
    "raw_mat",
    "relabel",
    "require_same_size",
]

LabelTable: TypeAlias = NDArray[np.int16]
"""Class id, `IGNORE_INDEX` or `ILLEGAL_ID` of each raw id 0, 1, ..., as the files on disk have it."""

ILLEGAL_ID = -1
"""Entry of a `LabelTable` for a raw id that no file may hold."""

LARGEST_RAW_ID = 2**16 - 1
SINGLE_CHANNEL_8BIT = ("L", "P")
SINGLE_CHANNEL_16BIT = ("I;16", "I;16B", "I")


def label_table(classes: Mapping[int, int], *, ignored: tuple[int, ...] = (IGNORE_INDEX,)) -> LabelTable:
    """The table in which raw id `key` becomes class `value`, the `ignored` become void and any other is illegal."""
    table = np.full(max(*classes, *ignored, IGNORE_INDEX) + 1, ILLEGAL_ID, dtype=np.int16)
    table[list(ignored)] = IGNORE_INDEX
    table[list(classes)] = list(classes.values())
    return table


@cache
def plain_table(classes: int) -> LabelTable:
    """Raw ids that are class ids already, 0..`classes` - 1, and IGNORE_INDEX."""
    return label_table({label: label for label in range(classes)})


def decode_image(path: Path) -> Pixels:
    """The file as `image_HW3`, RGB."""
    with open_image(path) as image:
        return np.array(pixels_of(image, path).convert("RGB"), dtype=np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels; reads the header alone."""
    with open_image(path) as image:
        return image.size


def raw_label(path: Path, *, wide: bool = False) -> NDArray[Any]:
    """The ids of a label image as they are in the file; `wide` lets 16-bit files through."""
    with open_image(path) as image:
        if image.mode not in (SINGLE_CHANNEL_8BIT + SINGLE_CHANNEL_16BIT if wide else SINGLE_CHANNEL_8BIT):
            raise DataError(f"{path}: mode {image.mode}; save labels as single-channel 8-bit PNG of class ids")
        return np.array(pixels_of(image, path))


def raw_mat(path: Path, variable: str) -> NDArray[Any]:
    """The ids in `variable` of a MATLAB file."""
    from scipy.io import loadmat  # here, so that data sets of images start without scipy

    try:
        content = loadmat(path, variable_names=[variable])
    except Exception as error:  # scipy raises whatever its parsers stumble over
        raise undecodable(path, error) from error
    if variable not in content:
        raise DataError(f"{path}: no variable {variable!r} in it; is it an annotation of this data set?")
    raw_HW = np.asarray(content[variable])
    if raw_HW.ndim != 2 or not np.issubdtype(raw_HW.dtype, np.integer):
        found = f"{raw_HW.dtype} of {raw_HW.ndim} axes"
        raise DataError(f"{path}: {variable!r} is {found}; a label is a height x width matrix of whole numbers")
    return raw_HW


def relabel(raw_HW: NDArray[Any], table: LabelTable, path: Path, remedy: str) -> Pixels:
    """Class ids of raw ids; DataError when the file holds one that `table` calls illegal."""
    for extreme in (raw_HW.min(initial=0), raw_HW.max(initial=0)):
        if not 0 <= extreme <= LARGEST_RAW_ID:
            raise DataError(f"{path}: label id {extreme}; {remedy}")
    counts = np.bincount(raw_HW.reshape(-1).astype(np.intp), minlength=len(table))
    known = np.concatenate([table, np.full(len(counts) - len(table), ILLEGAL_ID, dtype=np.int16)])
    if len(illegal := np.flatnonzero((counts > 0) & (known == ILLEGAL_ID))):
        raise DataError(f"{path}: label id {', '.join(map(str, illegal))}; {remedy}")
    label_HW: Pixels = table.astype(np.uint8)[raw_HW]  # ILLEGAL_ID wraps round, but no pixel has it
    return label_HW


def require_same_size(label_HW: Pixels, size: tuple[int, int], image_path: Path, label_path: Path) -> None:
    """Raise DataError unless the label has the image's (width, height)."""
    height, width = label_HW.shape
    if (width, height) != size:
        raise DataError(
            f"{label_path}: {width}x{height} pixels, but {image_path.name} has {size[0]}x{size[1]}; "
            "resize the label with nearest neighbour"
        )


def frozen(image_HW3: Pixels, label_HW: Pixels) -> Pair:
    """The two as a pair that nobody can write to."""
    for pixels in (image_HW3, label_HW):
        pixels.setflags(write=False)
    return image_HW3, label_HW


def open_image(path: Path) -> Image.Image:
    """The image file, its header read; DataError when that fails."""
    try:
        return Image.open(path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise undecodable(path, error) from error


def pixels_of(image: Image.Image, path: Path) -> Image.Image:
    """`image` with its pixels decoded; DataError when the file is cut short or damaged."""
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise undecodable(path, error) from error
    return image


def undecodable(path: Path, error: Exception) -> DataError:
    """The complaint about a damaged file, in one line."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"{path}: cannot be decoded ({reason}); copy the file again")
