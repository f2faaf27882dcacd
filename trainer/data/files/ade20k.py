"""ADE20K in the form of the scene parsing benchmark (ADEChallengeData2016), 150 classes.

`images/{training,validation}/STEM.jpg` beside `annotations/{training,validation}/STEM.png`; a label is 0 for other
objects, which are ignored, and 1..150 for the classes in the order of objectInfo150.txt.
"""

from __future__ import annotations

from functools import cache

from trainer.data.reading.decode import LabelTable, label_table
from trainer.data.reading.listing import Listing, files_by_stem, match
from trainer.data.reading.pairs import TRAIN_VAL, PairsOnDisk
from trainer.data.reading.palette import spread_colours

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

LAYOUT = "images/{training,validation}/*.jpg beside annotations/{training,validation}/*.png"
FOLDERS = {"train": "training", "val": "validation"}


class ADE20K(PairsOnDisk):
    """ADE20K below `root`: 20,210 images to train on, 2,000 to validate on; labels of its test images are secret."""

    class_names = CLASS_NAMES
    palette = spread_colours(len(CLASS_NAMES))
    split_parts = TRAIN_VAL
    legal_ids = f"legal are 0 (other) and 1..{len(CLASS_NAMES)} (ADEChallengeData2016, not the full data set)"

    @property
    def label_ids(self) -> LabelTable:
        """0 -> void, 1..150 -> classes."""
        return ids_from_1()

    def list_part(self, part: str) -> Listing:
        """Two folders of equal stems."""
        images, labels = (self.root / kind / FOLDERS[part] for kind in ("images", "annotations"))
        problems: list[str] = []
        return match(
            files_by_stem(images, (".jpg",), LAYOUT, problems),
            files_by_stem(labels, (".png",), LAYOUT, problems),
            problems,
            image_for=lambda stem: images / f"{stem}.jpg",
            label_for=lambda stem: labels / f"{stem}.png",
            empty=f"{images}: no image in it; the layout is {LAYOUT}",
        )


@cache
def ids_from_1() -> LabelTable:
    """Classes by id counted from 1; 0 is void."""
    return label_table({index + 1: index for index in range(len(CLASS_NAMES))}, ignored=(0,))
