"""Cityscapes, fine annotations: `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`, `gtFine/SPLIT/CITY/*_gtFine_labelIds.png`.

The 34 label ids of the files become the 19 train ids of the benchmark, the other 15 void. The test split's labels
are dummies (its true ones are on the benchmark's server), so nothing is trained or scored on it.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

from trainer.data.reading.decode import LabelTable, label_table
from trainer.data.reading.listing import Listing, files_by_stem, match
from trainer.data.reading.pairs import TRAIN_VAL_TEST, PairsOnDisk

__all__ = ["CLASSES", "Cityscapes"]

CLASSES: tuple[tuple[int, str, tuple[int, int, int]], ...] = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""Label id, name and colour of train id 0, 1, ... (cityscapesScripts, helpers/labels.py)."""

LABEL_IDS = 34
IMAGE_ENDING, LABEL_ENDING = "_leftImg8bit.png", "_gtFine_labelIds.png"
LAYOUT = f"leftImg8bit/{{train,val}}/CITY/*{IMAGE_ENDING} beside gtFine/{{train,val}}/CITY/*{LABEL_ENDING}"


class Cityscapes(PairsOnDisk):
    """Cityscapes below `root`; the test split may be absent."""

    class_names = tuple(name for _, name, _ in CLASSES)
    palette = tuple(colour for _, _, colour in CLASSES)
    split_parts = MappingProxyType(dict(TRAIN_VAL_TEST))
    optional = frozenset({"test"})
    unlabelled = frozenset({"test"})
    legal_ids = f"legal are the label ids 0..{LABEL_IDS - 1} of *{LABEL_ENDING}"

    @property
    def label_ids(self) -> LabelTable:
        """34 label ids -> 19 train ids and void."""
        return train_ids()

    def has_part(self, part: str) -> bool:
        """Whether there are images and labels of the split; an empty folder of images is none."""
        images = (self.root / "leftImg8bit" / part).glob(f"*/*{IMAGE_ENDING}")
        return (self.root / "gtFine" / part).is_dir() and any(images)

    def list_part(self, part: str) -> Listing:
        """The files of all cities of a split."""
        images, labels = self.root / "leftImg8bit" / part, self.root / "gtFine" / part
        problems: list[str] = []
        return match(
            files_by_stem(images, (IMAGE_ENDING,), LAYOUT, problems, pattern="*/*"),
            files_by_stem(labels, (LABEL_ENDING,), LAYOUT, problems, pattern="*/*"),
            problems,
            image_for=lambda stem: images / city(stem) / f"{stem}{IMAGE_ENDING}",
            label_for=lambda stem: labels / city(stem) / f"{stem}{LABEL_ENDING}",
            empty=f"{images}: no image in it; the layout is {LAYOUT}",
        )


def city(stem: str) -> str:
    """`aachen` of `aachen_000000_000019`."""
    return stem.partition("_")[0]


@cache
def train_ids() -> LabelTable:
    """Train id of each label id; 255 is legal too, for labels that were written by somebody's converter."""
    ids = {label: train for train, (label, _, _) in enumerate(CLASSES)}
    return label_table(ids, ignored=(*(label for label in range(LABEL_IDS) if label not in ids), 255))
