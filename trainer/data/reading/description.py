"""What `classes.yaml` says about a data set: its classes, where its files are, and what their values mean.

docs/own_data.md describes every key. Raises DataError with file, line, key and remedy for anything else.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

from trainer.data.reading.label_codes import LabelCodes
from trainer.data.reading.label_keys import colour_in, read_codes
from trainer.data.reading.membership import Splits
from trainer.data.reading.palette import voc_palette
from trainer.data.reading.path_pattern import IMAGE_ENDINGS, LABEL_ENDINGS, PathPattern
from trainer.data.reading.split_keys import read_splits
from trainer.data.reading.yaml_file import Node, read_block, shown
from trainer.data.source import IGNORE_INDEX, UNNAMED, Colour
from trainer.errors import DataError

__all__ = ["DEFAULT_IMAGES", "DEFAULT_LABELS", "KEYS", "Description", "read_description"]

DEFAULT_IMAGES, DEFAULT_LABELS = "images/{split}/*.{jpg,jpeg,png}", "labels/{split}/{stem}.png"


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """A description, checked."""

    path: Path
    """The file."""
    title: str
    """In captions."""
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    images: PathPattern
    labels: PathPattern
    splits: Splits
    codes: LabelCodes
    image_range: tuple[float, float] | None
    """Values of images of more than 8 bits that become 0 and 255."""
    channels: tuple[int, ...] | None
    """Those of an array that are red, green and blue, or grey."""
    group_folders: bool
    """Images of one folder belong together."""
    skip_unpaired: bool
    """Images without label, and labels without image, are left out."""


def read_description(path: Path) -> Description:
    """The description in a file."""
    return Reader(path).description()


class Reader:
    """Takes the keys of a description one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        top = read_block(path)
        self.nodes: dict[str, Node] = {}
        for key, node in top:
            if key.value not in KEYS:
                near = difflib.get_close_matches(str(key.value), KEYS, n=1, cutoff=0.7)
                remedy = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(KEYS)}"
                raise key.error(f"{shown(key)}: unknown key; {remedy}")
            self.nodes[str(key.value)] = Node(path, key.line, node.value)

    def description(self) -> Description:
        """All keys together."""
        names = self.names()
        palette = self.palette(names)
        images, labels = self.patterns()
        low_high = self.image_range()
        return Description(
            path=self.path,
            title=self.title(),
            class_names=names,
            palette=palette or voc_palette(len(names)),
            images=images,
            labels=labels,
            splits=read_splits(self.nodes, images),
            codes=read_codes(self.nodes, names, palette),
            image_range=low_high,
            channels=self.channels(),
            group_folders=self.choice("group", ("folder",), "") == "folder",
            skip_unpaired=self.choice("unpaired", ("refuse", "skip"), "refuse") == "skip",
        )

    def title(self) -> str:
        """`name`, for captions."""
        if "name" not in self.nodes:
            return UNNAMED
        name = self.nodes["name"]
        if not isinstance(name.value, str) or not name.value.strip() or len(name.value) > 100:
            raise name.error(f"name: {shown(name)} is not a name of at most 100 characters; put it in quotes")
        return name.value.strip()

    def names(self) -> tuple[str, ...]:
        """`names` of the classes, in the order of their ids."""
        if "names" not in self.nodes:
            raise DataError(f"{self.path}: no class names; write for example `names: [road, car]`")
        node = self.nodes["names"]
        found: list[str] = []
        for item in node.items("names", "[road, car]"):
            if not isinstance(item.value, str):
                raise item.error(f"names: {shown(item)} is not text; put the name in quotes")
            if not item.value.strip() or item.value in found or len(item.value) > 200:
                raise item.error(f"names: {shown(item)} is empty, too long or repeated; give each class a name")
            found.append(item.value)
        if len(found) > IGNORE_INDEX:
            raise node.error(f"names: {len(found)} classes; use at most {IGNORE_INDEX}")
        return tuple(found)

    def palette(self, names: tuple[str, ...]) -> tuple[Colour, ...]:
        """Colours of the classes; empty if not given."""
        if "palette" not in self.nodes:
            return ()
        node = self.nodes["palette"]
        found: list[Colour] = []
        for item in node.items("palette", "[[128, 64, 128], [0, 0, 142]]"):
            colour = colour_in(item)
            if colour is None or colour in found:
                raise item.error(f"palette: {shown(item)} is not a colour [red, green, blue] that is new; correct it")
            found.append(colour)
        if len(found) != len(names):
            raise node.error(f"palette: {len(found)} colours for {len(names)} classes; give one per class, or none")
        return tuple(found)

    def patterns(self) -> tuple[PathPattern, PathPattern]:
        """`images` and `labels`, both or neither."""
        given = [key for key in ("images", "labels") if key in self.nodes]
        if len(given) == 1:
            other = "labels" if given == ["images"] else "images"
            example = DEFAULT_LABELS if other == "labels" else DEFAULT_IMAGES
            raise self.nodes[given[0]].error(f"{given[0]}: given without {other}; add for example {other}: {example}")
        images = self.pattern("images", DEFAULT_IMAGES, IMAGE_ENDINGS)
        labels = self.pattern("labels", DEFAULT_LABELS, LABEL_ENDINGS)
        if given and labels.has("split") and not images.has("split"):
            raise self.nodes["labels"].error("labels: has {split}, but images has not; use it in both, or in neither")
        if given and not (labels.has("stem") or labels.has("folder")):
            raise self.nodes["labels"].error("labels: one file for all images; use {stem} or {folder} in it")
        return images, labels

    def pattern(self, key: str, default: str, endings: tuple[str, ...]) -> PathPattern:
        """One of the two patterns."""
        node = self.nodes.get(key)
        if node is None:
            return PathPattern(default, endings)
        if not isinstance(node.value, str):
            raise node.error(f"{key}: {shown(node)} is not a pattern; write for example {default}")
        try:
            return PathPattern(node.value, endings)
        except ValueError as error:
            raise node.error(f"{key}: {error}") from error

    def image_range(self) -> tuple[float, float] | None:
        """`image_range`."""
        node = self.nodes.get("image_range")
        if node is None:
            return None
        values = [item.value for item in node.items("image_range", "[0, 4095]")]
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(values) != 2 or len(numbers) != 2 or not -math.inf < numbers[0] < numbers[1] < math.inf:
            raise node.error(f"image_range: {shown(node)} is not [low, high] with low < high; write [0, 4095]")
        return numbers[0], numbers[1]

    def channels(self) -> tuple[int, ...] | None:
        """`channels`."""
        node = self.nodes.get("channels")
        if node is None:
            return None
        values = [item.value for item in node.items("channels", "[0, 1, 2]")]
        chosen = tuple(
            value for value in values if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000
        )
        if len(chosen) != len(values) or len(chosen) not in (1, 3):
            raise node.error(f"channels: {shown(node)} is not one or three numbers from 0; write [0, 1, 2]")
        return chosen

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of some words."""
        node = self.nodes.get(key)
        if node is None:
            return default
        if node.value not in choices:
            raise node.error(f"{key}: {shown(node)} is not a choice; choose {' or '.join(choices)}")
        return str(node.value)


KEYS: tuple[str, ...] = (
    "name",
    "names",
    "palette",
    "images",
    "labels",
    "splits",
    "map",
    "ignore",
    "reduce_zero_label",
    "image_range",
    "channels",
    "group",
    "unpaired",
)
"""All keys of a description."""
