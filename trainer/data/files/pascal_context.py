"""PASCAL-Context: 59 classes on the images of VOC 2010; background is void.

`JPEGImages/STEM.jpg`, `ImageSets/SegmentationContext/{train,val}.txt`, and one of
- `SegmentationClassContext/STEM.png`, 8 bit: 0 background, 1..59 classes in alphabetical order, as in MMSegmentation
  (the authors' archive of 59 labels has another order and must not be used);
- `SegmentationClassContext/STEM.png`, 16 bit, or `trainval/STEM.mat`, variable `LabelMap`: the 459 labels of the
  authors' release, of which 59 are classes and the others void.
Labels of images that no list contains are ignored.
"""

from __future__ import annotations

from pathlib import Path

from trainer.data.reading.decode import label_table, raw_label, raw_mat, relabel
from trainer.data.reading.listing import Listing, list_stems
from trainer.data.reading.pairs import TRAIN_VAL, PairsOnDisk
from trainer.data.reading.palette import voc_palette
from trainer.data.source import Pixels

__all__ = ["CLASSES", "PascalContext"]

NAMES = """
2 aeroplane, 9 bag, 18 bed, 19 bedclothes, 22 bench, 23 bicycle, 25 bird, 31 boat, 33 book, 34 bottle, 44 building,
45 bus, 46 cabinet, 59 car, 65 cat, 68 ceiling, 72 chair, 80 cloth, 85 computer, 98 cow, 104 cup, 105 curtain,
113 dog, 115 door, 144 fence, 158 floor, 159 flower, 162 food, 187 grass, 189 ground, 207 horse, 220 keyboard,
232 light, 258 motorbike, 259 mountain, 260 mouse, 284 person, 295 plate, 296 platform, 308 pottedplant, 324 road,
326 rock, 347 sheep, 349 shelves, 354 sidewalk, 355 sign, 360 sky, 366 snow, 368 sofa, 397 table, 415 track,
416 train, 420 tree, 424 truck, 427 tvmonitor, 440 wall, 445 water, 454 window, 458 wood"""

CLASSES = tuple((int(label), name) for label, name in (item.split() for item in NAMES.split(",")))
"""Id among the 459 and name of class 0, 1, ..., as in PyTorch-Encoding and MMSegmentation."""

ALL_LABELS = 459
RELEASED_CLASSES = {label: index for index, (label, _) in enumerate(CLASSES)}
RELEASED_IDS = label_table(
    RELEASED_CLASSES, ignored=tuple(label for label in range(ALL_LABELS + 1) if label not in RELEASED_CLASSES)
)
"""Of the 459 ids, 59 are classes; the others and `unlabelled` (0) are void."""
LABEL_FOLDER, RELEASED_FOLDER = "SegmentationClassContext", "trainval"
LISTS_REMEDY = "put train.txt and val.txt, one stem per line, into ImageSets/SegmentationContext"


class PascalContext(PairsOnDisk):
    """PASCAL-Context in `root`, for example `VOCdevkit/VOC2010`."""

    title = "PASCAL-Context"
    class_names = tuple(name for _, name in CLASSES)
    palette = voc_palette(len(CLASSES))
    split_parts = TRAIN_VAL
    label_ids = label_table({label: label - 1 for label in range(1, len(CLASSES) + 1)}, ignored=(0, 255))
    """Of the 8-bit form: background is void, then the classes in order."""
    legal_ids = f"legal are 0..{len(CLASSES)} in 8-bit labels, 0..{ALL_LABELS} in 16-bit and .mat labels"

    def list_part(self, part: str) -> Listing:
        """The files of `train` or `val`."""
        released = not (self.root / LABEL_FOLDER).is_dir() and (self.root / RELEASED_FOLDER).is_dir()
        folder, ending = (RELEASED_FOLDER, ".mat") if released else (LABEL_FOLDER, ".png")
        return list_stems(
            self.root / "ImageSets" / "SegmentationContext" / f"{part}.txt",
            image_for=lambda stem: self.root / "JPEGImages" / f"{stem}.jpg",
            label_for=lambda stem: self.root / folder / f"{stem}{ending}",
            remedy=LISTS_REMEDY,
        )

    def read_label(self, path: Path) -> Pixels:
        """Class ids of a label; .mat and 16-bit labels have the 459 ids."""
        if path.suffix == ".mat":
            return relabel(raw_mat(path, "LabelMap"), RELEASED_IDS, path, self.legal_ids)
        raw_HW = raw_label(path, wide=True)
        return relabel(raw_HW, self.label_ids if raw_HW.dtype.itemsize == 1 else RELEASED_IDS, path, self.legal_ids)
