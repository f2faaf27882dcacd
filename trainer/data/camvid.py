"""CamVid in its 11-class form: `{train,val,test}/images/STEM.jpg` beside `{train,val,test}/labels/STEM.png`.

Void is `IGNORE_INDEX`, not a twelfth class (method.md section 4, defect 15).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.data.base import IGNORE_INDEX, Pair, Pixels
from trainer.errors import DataError

__all__ = ["CLASS_NAMES", "PALETTE", "CamVid"]

CLASS_NAMES: tuple[str, ...] = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
"""Class of id 0, 1, ... (the data set writes `SignSymbol` for `sign`)."""

PALETTE: tuple[tuple[int, int, int], ...] = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
"""The data set's own colours, RGB."""

PARTS: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val",),
    "test": ("test",),
    "trainval": ("train", "val"),
}
"""Folders behind each split; the three on disk, and train with val for a final training."""

FOLDERS = ("train", "val", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
LABEL_SUFFIXES = (".png",)
SINGLE_CHANNEL_8BIT = ("L", "P")
CACHE_BYTES = 256 * 2**20


class CamVid:
    """Pairs below `root`.

    Decoded pairs stay in memory until `cache_bytes` of them are held, in each process; later ones are decoded
    at each read. The default holds the train split of the full 480x360 data set (242 MiB).
    """

    class_names = CLASS_NAMES
    palette = PALETTE

    def __init__(self, root: str | Path, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.root = Path(root)
        self.cache_bytes = cache_bytes
        self._pairs: dict[str, tuple[tuple[Path, Path], ...]] = {}
        self._decoded: dict[Path, Pair] = {}
        self._decoded_bytes = 0

    def size(self, split: str) -> int:
        """Pairs in `split`. Raises DataError when the split is unknown or its folder incomplete."""
        return len(self._paths(split))

    def stems(self, split: str) -> tuple[str, ...]:
        """File stems of `split`, sorted within each of its folders."""
        return tuple(label.stem for _, label in self._paths(split))

    def read(self, split: str, index: int) -> Pair:
        """Pair `index` of `split`, read-only `image_HW3` and `label_HW`; raises DataError as `check_labels` does."""
        image_path, label_path = self._paths(split)[index]
        held = self._decoded.get(label_path)
        if held is not None:
            return held
        pair = decode_pair(image_path, label_path, len(self.class_names))
        pair_bytes = sum(pixels.nbytes for pixels in pair)
        if self._decoded_bytes + pair_bytes <= self.cache_bytes:
            self._decoded[label_path] = pair
            self._decoded_bytes += pair_bytes
        return pair

    def digest(self) -> str:
        """SHA-256 over the sorted relative names and the bytes of all images and labels, hexadecimal."""
        total = hashlib.sha256()
        for path in self._files():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(self.root).as_posix()}\n{content}\n".encode())
        return total.hexdigest()

    def signature(self) -> str:
        """SHA-256 over relative names, sizes and times of modification, hexadecimal; reads no content."""
        total = hashlib.sha256()
        for path in self._files():
            facts = path.stat()
            total.update(f"{path.relative_to(self.root).as_posix()}\n{facts.st_size} {facts.st_mtime_ns}\n".encode())
        return total.hexdigest()

    def check_layout(self) -> None:
        """Raise DataError unless the three splits exist and pair up; never trusts an earlier listing."""
        self._pairs.clear()
        for folder in FOLDERS:
            self._paths(folder)

    def check_labels(self) -> None:
        """Raise DataError at the first label that does not decode, does not fit its image or has illegal ids."""
        for folder in FOLDERS:
            for image_path, label_path in self._paths(folder):
                with open_image(image_path) as image:
                    size = image.size
                check_size(decode_label(label_path, len(self.class_names)), size, image_path, label_path)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the decoded pairs: a loader process decodes its own."""
        return {**self.__dict__, "_decoded": {}, "_decoded_bytes": 0}

    def _files(self) -> list[Path]:
        return sorted(path for folder in FOLDERS for pair in self._paths(folder) for path in pair)

    def _paths(self, split: str) -> tuple[tuple[Path, Path], ...]:
        """Image and label files of `split`; listed once."""
        if split not in PARTS:
            raise DataError(f"{self.root}: no split {split!r}; choose {', '.join(PARTS)}")
        if split not in self._pairs:
            self._pairs[split] = tuple(pair for part in PARTS[split] for pair in pair_up(self.root / part))
        return self._pairs[split]


def pair_up(folder: Path) -> list[tuple[Path, Path]]:
    """(image, label) files of one split folder, sorted by stem; DataError when one lacks its counterpart."""
    images, labels = by_stem(folder / "images", IMAGE_SUFFIXES), by_stem(folder / "labels", LABEL_SUFFIXES)
    for stem in sorted(images.keys() ^ labels.keys()):
        if stem in images:
            raise DataError(f"{images[stem]}: no label; add {folder / 'labels' / stem}.png or remove the image")
        raise DataError(f"{labels[stem]}: no image; add {folder / 'images' / stem}.jpg or remove the label")
    if not images:
        raise DataError(f"{folder}: no image in it; put STEM.jpg into images and STEM.png into labels")
    return [(images[stem], labels[stem]) for stem in sorted(images)]


def by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """The files of `folder` that end in one of `suffixes`, by stem; DataError when there is no such folder."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the layout is {{train,val,test}}/{{images,labels}}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise DataError(f"{path}: {found[path.stem].name} has the same stem; remove one of the two")
            found[path.stem] = path
    return found


def decode_pair(image_path: Path, label_path: Path, classes: int) -> Pair:
    """The checked, read-only pixels of an image and its label."""
    with open_image(image_path) as image:
        image_HW3 = np.array(pixels_of(image, image_path).convert("RGB"), dtype=np.uint8)
    label_HW = decode_label(label_path, classes)
    check_size(label_HW, (image_HW3.shape[1], image_HW3.shape[0]), image_path, label_path)
    for pixels in (image_HW3, label_HW):
        pixels.setflags(write=False)
    return image_HW3, label_HW


def decode_label(path: Path, classes: int) -> Pixels:
    """The ids of a label image; DataError unless it is single-channel 8 bit with ids below `classes` or void."""
    with open_image(path) as image:
        if image.mode not in SINGLE_CHANNEL_8BIT:
            raise DataError(f"{path}: mode {image.mode}; save labels as single-channel 8-bit PNG of class ids")
        label_HW = np.array(pixels_of(image, path), dtype=np.uint8)
    ids = np.flatnonzero(np.bincount(label_HW.reshape(-1), minlength=IGNORE_INDEX + 1))
    illegal = [int(label) for label in ids if classes <= label != IGNORE_INDEX]
    if illegal:
        found = ", ".join(map(str, illegal))
        raise DataError(f"{path}: label id {found}; map the ids to 0..{classes - 1}, or {IGNORE_INDEX} for void")
    return label_HW


def check_size(label_HW: Pixels, size: tuple[int, int], image_path: Path, label_path: Path) -> None:
    """Raise DataError unless the label has the image's (width, height)."""
    height, width = label_HW.shape
    if (width, height) != size:
        raise DataError(
            f"{label_path}: {width}x{height} pixels, but {image_path.name} has {size[0]}x{size[1]}; "
            "resize the label with nearest neighbour"
        )


def open_image(path: Path) -> Image.Image:
    """The image file, its header read; DataError when that fails."""
    try:
        return Image.open(path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be decoded ({first_line(error)}); copy the file again") from error


def pixels_of(image: Image.Image, path: Path) -> Image.Image:
    """`image` with its pixels decoded; DataError when the file is cut short or damaged."""
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be decoded ({first_line(error)}); copy the file again") from error
    return image


def first_line(error: Exception) -> str:
    """An error's message without line breaks after it, so that ours stays one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
