"""COCO-Stuff, 80 thing and 91 stuff classes, in two editions.

- 10K (v1.1): `images/STEM.jpg`, `annotations/STEM.mat` (variable `S`: 0 unlabelled, 1..182) and
  `imageLists/{train,test}.txt`;
- 164K: `images/{train2017,val2017}/STEM.jpg`, `annotations/{train2017,val2017}/STEM.png` (the stuffthingmaps: 0..181,
  255 unlabelled).
11 of the 182 ids are things that COCO never annotated; the other 171 are classes 0..170, in order.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from trainer.data.reading.decode import label_table, raw_mat, relabel
from trainer.data.reading.listing import Listing, list_folders, list_stems
from trainer.data.reading.pairs import TRAIN_VAL, PairsOnDisk
from trainer.data.reading.palette import voc_palette
from trainer.data.source import IGNORE_INDEX, Pixels

__all__ = ["ABSENT_IDS", "CLASS_NAMES", "CocoStuff10K", "CocoStuff164K"]

THINGS = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag,
tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote,
keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush"""

STUFFS = """
banner, blanket, branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, ceiling-tile,
cloth, clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence, floor-marble, floor-other,
floor-stone, floor-tile, floor-wood, flower, fog, food-other, fruit, furniture-other, grass, gravel, ground-other,
hill, house, leaves, light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow,
plant-other, plastic, platform, playingfield, railing, railroad, river, road, rock, roof, rug, salad, sand, sea,
shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw, structural-other, table, tent, textile-other,
towel, tree, vegetable, wall-brick, wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood,
water-other, waterdrops, window-blind, window-other, wood"""

CLASS_NAMES: tuple[str, ...] = tuple(" ".join(name.split()) for name in f"{THINGS},{STUFFS}".split(","))
"""Names in the authors' labels.txt, without those of `ABSENT_IDS`."""

LABELS = 182
ABSENT_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
"""Ids, counted from 1, that no annotation has: street sign, hat, shoe, eye glasses, plate, mirror, window, desk, door,
blender, hair brush."""

PRESENT_IDS = tuple(label for label in range(1, LABELS + 1) if label not in ABSENT_IDS)
LAYOUT_164K = "images/{train2017,val2017}/*.jpg and annotations/{train2017,val2017}/*.png"
LISTS_REMEDY = "put the data set's train.txt and test.txt, one stem per line, into imageLists"


class CocoStuff10K(PairsOnDisk):
    """COCO-Stuff-10K in `root`: 9,000 training and 1,000 test images, no val split."""

    title = "COCO-Stuff-10K"
    class_names = CLASS_NAMES
    palette = voc_palette(len(CLASS_NAMES))
    split_parts = MappingProxyType({"train": ("train",), "test": ("test",)})
    label_ids = label_table({label: index for index, label in enumerate(PRESENT_IDS)}, ignored=(0,))
    legal_ids = f"legal are 0 (unlabelled) and 1..{LABELS} except {', '.join(map(str, ABSENT_IDS))}"

    def list_part(self, part: str) -> Listing:
        """The files of `train` or `test`."""
        return list_stems(
            self.root / "imageLists" / f"{part}.txt",
            image_for=lambda stem: self.root / "images" / f"{stem}.jpg",
            label_for=lambda stem: self.root / "annotations" / f"{stem}.mat",
            remedy=LISTS_REMEDY,
        )

    def read_label(self, path: Path) -> Pixels:
        """Class ids of a MATLAB label."""
        return relabel(raw_mat(path, "S"), self.label_ids, path, self.legal_ids)


class CocoStuff164K(PairsOnDisk):
    """COCO-Stuff-164K in `root`."""

    title = "COCO-Stuff-164K"
    class_names = CLASS_NAMES
    palette = voc_palette(len(CLASS_NAMES))
    split_parts = TRAIN_VAL
    label_ids = label_table({label - 1: index for index, label in enumerate(PRESENT_IDS)})
    legal_ids = (
        f"legal are {IGNORE_INDEX} and 0..{LABELS - 1} except {', '.join(str(label - 1) for label in ABSENT_IDS)} "
        "(the stuffthingmaps)"
    )

    def list_part(self, part: str) -> Listing:
        """The files of `train2017` or `val2017`; `*_labelTrainIds.png` files of converters are ignored."""
        images, labels = (self.root / kind / f"{part}2017" for kind in ("images", "annotations"))
        return list_folders(
            images, labels, LAYOUT_164K, image_endings=(".jpg",), is_label=lambda stem: "_label" not in stem
        )
