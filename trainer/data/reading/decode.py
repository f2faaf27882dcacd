"""Decodes image and label files to checked pixels; every failure is a DataError with the file and the remedy.

Images have 8 bits per channel and are turned as their EXIF orientation says; `IMAGE_MODES` are the modes that are
accepted. Images of more bits need a range (`decode_scaled`). Labels are ids, so nothing may scale, turn or compress
them. Imports no torch.
Axes: H W image height and width.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, features

from trainer.data.problems import IllegalLabelError
from trainer.data.source import IGNORE_INDEX, Pair, Pixels
from trainer.errors import DataError

__all__ = [
    "DECODER_VERSION",
    "ILLEGAL_ID",
    "UPRIGHT",
    "DecodedImage",
    "LabelTable",
    "decode_image",
    "decode_scaled",
    "decoder_version",
    "frozen",
    "image_size",
    "is_array",
    "label_table",
    "raw_array",
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
WIDE_MODES = (*SINGLE_CHANNEL_16BIT, "I;16L", "I;16N", "F")
"""Pillow's names of grey images of more than 8 bits."""
SEVERAL_FRAMES = ("TIFF", "GIF", "WEBP")
ARRAY_ENDING = ".npy"
ONE_HEADER = threading.Lock()
"""Held while NumPy parses the header of an array. In CPython 3.11 a SystemError now and then ends one of two threads
that make syntax trees at a time (gh-106905)."""


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
def decoder_version(*, jpeg: bool, webp: bool = False) -> str:
    """What else than the files decides about pixels: our version and, for lossy files, those of the libraries."""
    libraries = [*([jpeg_library()] if jpeg else []), *([f"libwebp {features.version('webp')}"] if webp else [])]
    return f"{DECODER_VERSION} with {', '.join(libraries)}" if libraries else f"{DECODER_VERSION}"


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
    if is_array(path):
        shape = raw_array(path).shape
        return (shape[1], shape[0]) if len(shape) > 1 else (0, 0)
    with open_image(path) as image:
        return image.size


def decode_scaled(
    path: Path, value_range: tuple[float, float] | None, channels: tuple[int, ...] | None, remedy: str
) -> DecodedImage:
    """The image in a file, which may be an array or have more than 8 bits: `value_range` becomes 0..255, linearly.

    Values outside the range are clipped; 8-bit images are taken as they are. `channels` of an array are red, green and
    blue, or grey. Raises DataError; `remedy` is for an image of more than 8 bits without a range.
    """
    if is_array(path):
        raw, mode, orientation = picked(raw_array(path), channels, path), "npy", UPRIGHT
    else:
        with open_image(path) as image:
            require_one_frame(image, path)
            if image.mode not in WIDE_MODES:
                return decode_image(path)
            mode, orientation = stored_mode(image), orientation_of(pixels_of(image, path))
            shown = image if orientation == UPRIGHT else ImageOps.exif_transpose(image)
            raw = np.array(shown)
    if raw.dtype == np.uint8:
        image_HW = raw
    else:
        if not np.isfinite(raw).all():
            raise DataError(f"{path}: values that are not finite; write numbers for them")
        if value_range is None:
            raise DataError(f"{path}: {raw.dtype} values {raw.min(initial=0)} to {raw.max(initial=0)}; {remedy}")
        low, high = value_range
        image_HW = np.rint(((raw.astype(np.float64) - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    image_HW3 = np.repeat(image_HW[..., None], 3, axis=-1) if image_HW.ndim == 2 else np.array(image_HW)
    return DecodedImage(image_HW3, f"{mode} {raw.dtype}" if mode == "npy" else mode, orientation)


def picked(raw: NDArray[Any], channels: tuple[int, ...] | None, path: Path) -> NDArray[Any]:
    """`channels` of an array (H, W) or (H, W, channels), as (H, W) or (H, W, 3). Raises DataError."""
    stored = 1 if raw.ndim == 2 else raw.shape[2] if raw.ndim == 3 else 0
    if raw.dtype.kind not in "iuf" or not stored or 0 in raw.shape:
        found = f"{raw.dtype} of {'x'.join(map(str, raw.shape)) or 'no axes'}"
        raise DataError(f"{path}: {found}; save images as numbers, height x width x channels")
    chosen = channels or (range(stored) if stored in (1, 3) else ())
    if not chosen or max(chosen) >= stored:
        raise DataError(f"{path}: {stored} channels; add `channels: [0, 1, 2]`, those that are red, green and blue")
    return raw if raw.ndim == 2 else raw[..., chosen[0]] if len(chosen) == 1 else raw[..., list(chosen)]


def is_array(path: Path) -> bool:
    """Whether a file is a NumPy array."""
    return path.suffix.lower() == ARRAY_ENDING


def raw_array(path: Path) -> NDArray[Any]:
    """The array in a `.npy` file, mapped. Raises DataError for a damaged file, and for one with Python objects."""
    try:
        with ONE_HEADER:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        return found if isinstance(found, np.ndarray) else np.array(found)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise undecodable(path, error) from error


def require_one_frame(image: ImageFile.ImageFile, path: Path) -> None:
    """Raise DataError for a stack of images."""
    frames = getattr(image, "n_frames", 1) if image.format in SEVERAL_FRAMES else 1
    if frames > 1:
        raise DataError(f"{path}: {frames} images in one file; save one image per file")


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
    """The raw ids of a label image; `wide` allows files of 1 and 16 bits."""
    with open_image(path) as image:
        legal = ("1", *SINGLE_CHANNEL_8BIT, *SINGLE_CHANNEL_16BIT) if wide else SINGLE_CHANNEL_8BIT
        stored = stored_mode(image)
        if image.mode not in legal or (image.mode == "L" and stored != "L"):  # Pillow scales grey of 2 and 4 bits
            raise DataError(f"{path}: mode {stored}; save labels as single-channel 8-bit PNG of class ids")
        raw_HW = np.array(label_pixels_of(image, path))
        return raw_HW.astype(np.uint8) if raw_HW.dtype == np.bool_ else raw_HW


def raw_colours(path: Path) -> Pixels:
    """The colours of a label image, (H, W, 3)."""
    with open_image(path) as image:
        return np.array(label_pixels_of(image, path).convert("RGB"), dtype=np.uint8)


def label_pixels_of(image: ImageFile.ImageFile, path: Path) -> Image.Image:
    """`image` with decoded pixels. Raises DataError for a label whose ids are compressed or turned."""
    require_one_frame(image, path)
    if image.format in LOSSY_FORMATS or image.info.get("compression") == "jpeg":
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
            raise IllegalLabelError(path, {str(extreme): int((raw_HW == extreme).sum())}, remedy)
    counts = np.bincount(raw_HW.reshape(-1).astype(np.intp), minlength=len(table))
    known = np.concatenate([table, np.full(len(counts) - len(table), ILLEGAL_ID, dtype=np.int16)])
    if len(illegal := np.flatnonzero((counts > 0) & (known == ILLEGAL_ID))):
        raise IllegalLabelError(path, {str(code): int(counts[code]) for code in illegal}, remedy)
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
    except (OSError, ValueError, Image.DecompressionBombError, UserWarning) as error:  # a warning can be an error
        raise undecodable(path, error) from error


def pixels_of(image: Image.Image, path: Path) -> Image.Image:
    """`image` with decoded pixels. Raises DataError for a truncated or damaged file."""
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, UserWarning) as error:
        raise undecodable(path, error) from error
    return image


def undecodable(path: Path, error: Exception) -> DataError:
    """The error for a damaged file, in one line."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"{path}: cannot be decoded ({reason}); copy the file again")
