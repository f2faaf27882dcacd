"""ADE20K as in the scene parsing benchmark (ADEChallengeData2016), 150 classes.

`images/{training,validation}/STEM.jpg` and `annotations/{training,validation}/STEM.png`. Label 0 is "other objects",
which is void; 1..150 are the classes in the order of objectInfo150.txt.
"""

from __future__ import annotations

from trainer.data.reading.decode import label_table
from trainer.data.reading.listing import Listing, list_folders
from trainer.data.reading.pairs import TRAIN_VAL, PairsOnDisk
from trainer.data.reading.palette import voc_palette

__all__ = ["ADE20K", "CLASS_NAMES"]

NAMES = """
wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door, table,
mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field, armchair, info,
fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest of drawers, counter,
sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table, pillow,
screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench, countertop,
stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower,
chandelier, awning, streetlight, booth, television, airplane, dirt track, apparel, pole, land, bannister, escalator,
ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyor belt, canopy, washer, plaything, swimming pool,
stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave,
pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, ashcan,
fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag"""

CLASS_NAMES: tuple[str, ...] = tuple(" ".join(name.split()) for name in NAMES.split(","))
"""The first name of each class, in the order of its ids."""

LAYOUT = "images/{training,validation}/*.jpg and annotations/{training,validation}/*.png"
FOLDERS = {"train": "training", "val": "validation"}


class ADE20K(PairsOnDisk):
    """ADE20K in `root`: 20,210 training and 2,000 validation images. The labels of the test images are not public."""

    title = "ADE20K"
    class_names = CLASS_NAMES
    palette = voc_palette(len(CLASS_NAMES))
    split_parts = TRAIN_VAL
    label_ids = label_table({index + 1: index for index in range(len(CLASS_NAMES))}, ignored=(0,))
    legal_ids = f"legal are 0 (other) and 1..{len(CLASS_NAMES)} (ADEChallengeData2016, not the full data set)"

    def list_part(self, part: str) -> Listing:
        """The files of `train` or `val`."""
        images, labels = (self.root / kind / FOLDERS[part] for kind in ("images", "annotations"))
        return list_folders(images, labels, LAYOUT, image_endings=(".jpg",))
