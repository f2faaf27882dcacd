"""Cityscapes, fine annotations: `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`, `gtFine/SPLIT/CITY/*_gtFine_labelIds.png`.

19 of the 34 label ids are the classes of the benchmark, the others are void. The labels of the test split are dummies
(the real ones are not public), so it cannot be used for training or evaluation.
"""

from __future__ import annotations

from trainer.data.reading.decode import label_table
from trainer.data.reading.listing import Listing, list_folders
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
"""Label id, name and colour of class 0, 1, ... (cityscapesScripts, helpers/labels.py)."""

LABEL_IDS = 34
TRAIN_IDS = {label: index for index, (label, _, _) in enumerate(CLASSES)}
IMAGE_ENDING, LABEL_ENDING = "_leftImg8bit.png", "_gtFine_labelIds.png"
LAYOUT = f"leftImg8bit/{{train,val}}/CITY/*{IMAGE_ENDING} and gtFine/{{train,val}}/CITY/*{LABEL_ENDING}"


class Cityscapes(PairsOnDisk):
    """Cityscapes in `root`; the test split is optional."""

    title = "Cityscapes"
    class_names = tuple(name for _, name, _ in CLASSES)
    palette = tuple(colour for _, _, colour in CLASSES)
    split_parts = TRAIN_VAL_TEST
    optional = frozenset({"test"})
    unlabelled = frozenset({"test"})
    label_ids = label_table(TRAIN_IDS, ignored=(*(label for label in range(LABEL_IDS) if label not in TRAIN_IDS), 255))
    """255 is legal too, because some converters write it."""
    legal_ids = f"legal are the label ids 0..{LABEL_IDS - 1} of *{LABEL_ENDING}"

    def has_part(self, part: str) -> bool:
        """Whether the split has images and a folder of labels."""
        images = (self.root / "leftImg8bit" / part).glob(f"*/*{IMAGE_ENDING}")
        return (self.root / "gtFine" / part).is_dir() and any(images)

    def group(self, stem: str) -> str:
        """The city: pictures of one drive look alike."""
        return city(stem)

    def list_part(self, part: str) -> Listing:
        """The files of all cities of a split."""
        return list_folders(
            self.root / "leftImg8bit" / part,
            self.root / "gtFine" / part,
            LAYOUT,
            image_endings=(IMAGE_ENDING,),
            label_ending=LABEL_ENDING,
            subfolder=city,
        )


def city(stem: str) -> str:
    """`aachen` of `aachen_000000_000019`."""
    return stem.partition("_")[0]
