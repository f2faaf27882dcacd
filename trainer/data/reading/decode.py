"""Decodes image and label files to checked pixels; every failure is a DataError with the file and the remedy.

Images have 8 bits per channel and are turned as their EXIF orientation says; `IMAGE_MODES` are the modes that are
accepted. Labels are ids, so nothing may scale, turn or compress them. Imports no torch.
Axes: H W image height and width.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, features

from trainer.data.source import IGNORE_INDEX, Pair, Pixels
from trainer.errors import DataError

__all__ = [
    "DECODER_VERSION",
    "ILLEGAL_ID",
    "UPRIGHT",
    "DecodedImage",
    "LabelTable",
    "decode_image",
    "decoder_version",
    "frozen",
    "image_size",
    "label_table",
    "raw_colours",
    "raw_label",
    "raw_mat",
    "relabel",
    "require_same_size",
]

DECODER_VERSION = 2
"""Increased by hand whenever equal files would give other pixels; 2: the EXIF orientation is applied."""

IMAGE_MODES = ("1", "L", "P", "RGB", "CMYK", "LA", "PA", "RGBA")
"""Pillow's names of the accepted images. Grey is repeated in three channels, CMYK is converted without a colour
profile, and an alpha channel must be opaque."""

LOSSY_FORMATS = ("JPEG", "MPO", "JPEG2000", "WEBP")
UPRIGHT = 1
"""The EXIF orientation of an image that is stored as it is shown."""
OPAQUE = 255

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


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image as it is shown, and how it was stored."""

    image_HW3: Pixels
    """RGB, turned as `orientation` says."""
    mode: str
    """One of `IMAGE_MODES`."""
    orientation: int
    """EXIF orientation, 1..8; 1 is upright."""


@cache
def decoder_version(*, jpeg: bool) -> str:
    """What else than the files decides about pixels: our version and, for JPEG files, that of the library."""
    return f"{DECODER_VERSION} with {jpeg_library()}" if jpeg else f"{DECODER_VERSION}"


def jpeg_library() -> str:
    """Pillow's JPEG library; two versions may differ in the last bit of a pixel."""
    turbo = features.version("libjpeg_turbo")
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"


def decode_image(path: Path) -> DecodedImage:
    """The image in a file. Raises DataError also for a mode or depth that is not accepted."""
    with open_image(path) as image:
        mode, stored = image.mode, stored_mode(image)
        if mode not in IMAGE_MODES or ";16" in stored:
            found = f"{stored}, more than 8 bits per channel" if ";16" in stored or mode in "IF" else stored
            raise DataError(f"{path}: mode {found}; save images as RGB or grey with 8 bits per channel")
        pixels_of(image, path)
        if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] != OPAQUE:
            raise DataError(f"{path}: mode {mode} with transparent pixels; save images without transparency")
        orientation = orientation_of(image)
        shown = image if orientation == UPRIGHT else ImageOps.exif_transpose(image)
        return DecodedImage(np.array(shown.convert("RGB"), dtype=np.uint8), mode, orientation)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as the image is stored, before its EXIF orientation; reads only the header."""
    with open_image(path) as image:
        return image.size


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of a loaded image, 1..8; 1 for an image whose EXIF data cannot be read, as viewers do."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except (OSError, ValueError, SyntaxError, KeyError, struct.error):
        return UPRIGHT
    return found if found in range(1, 9) else UPRIGHT


def stored_mode(image: ImageFile.ImageFile) -> str:
    """The mode in the file before Pillow changes the depth: `RGB;16B` for one that it opens as RGB."""
    arguments = image.tile[0].args if image.tile else image.mode
    first = arguments[0] if isinstance(arguments, tuple) else arguments
    return first if isinstance(first, str) else image.mode


def raw_label(path: Path, *, wide: bool = False) -> NDArray[Any]:
    """The raw ids of a label image; `wide` allows 16-bit files."""
    with open_image(path) as image:
        legal = SINGLE_CHANNEL_8BIT + SINGLE_CHANNEL_16BIT if wide else SINGLE_CHANNEL_8BIT
        stored = stored_mode(image)
        if image.mode not in legal or (image.mode == "L" and stored != "L"):  # Pillow scales grey of 2 and 4 bits
            raise DataError(f"{path}: mode {stored}; save labels as single-channel 8-bit PNG of class ids")
        return np.array(label_pixels_of(image, path))


def raw_colours(path: Path) -> Pixels:
    """The colours of a label image, (H, W, 3)."""
    with open_image(path) as image:
        return np.array(label_pixels_of(image, path).convert("RGB"), dtype=np.uint8)


def label_pixels_of(image: ImageFile.ImageFile, path: Path) -> Image.Image:
    """`image` with decoded pixels. Raises DataError for a label whose ids are compressed or turned."""
    if image.format in LOSSY_FORMATS:
        raise DataError(f"{path}: {image.format}, which changes ids; save labels as single-channel 8-bit PNG")
    pixels_of(image, path)
    if (orientation := orientation_of(image)) != UPRIGHT:
        raise DataError(f"{path}: EXIF orientation {orientation}; save labels upright and without EXIF data")
    return image


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


def require_same_size(
    label_HW: Pixels, size: tuple[int, int], image_path: Path, label_path: Path, orientation: int = UPRIGHT
) -> None:
    """Raise DataError unless the label has the (width, height) of the image as it is shown."""
    height, width = label_HW.shape
    if (width, height) != size:
        turned, remedy = "", "resize the label with nearest neighbour"
        if orientation != UPRIGHT:
            turned = f" when it is turned as its EXIF orientation {orientation} says"
            remedy = "turn the label as well, or remove the EXIF data of the image"
        raise DataError(
            f"{label_path}: {width}x{height} pixels, but {image_path.name} has {size[0]}x{size[1]}{turned}; {remedy}"
        )


def frozen(image_HW3: Pixels, label_HW: Pixels) -> Pair:
    """A read-only pair."""
    for pixels in (image_HW3, label_HW):
        pixels.setflags(write=False)
    return image_HW3, label_HW


def open_image(path: Path) -> ImageFile.ImageFile:
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
