"""What `classes.yaml` says about a data set: its classes, where its files are, and what their values mean.

docs/own_data.md describes every key. Raises DataError with file, line, key and remedy for anything else.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.reading.label_codes import LabelCodes, colour_code
from trainer.data.reading.membership import Folders, Lists, Shares, Splits
from trainer.data.reading.palette import voc_palette
from trainer.data.reading.path_pattern import IMAGE_ENDINGS, LABEL_ENDINGS, PathPattern
from trainer.data.reading.yaml_file import Block, Node, read_block, shown
from trainer.data.source import IGNORE_INDEX, UNNAMED, Colour
from trainer.errors import DataError

__all__ = ["DEFAULT_IMAGES", "DEFAULT_LABELS", "KEYS", "Description", "read_description"]

DEFAULT_IMAGES, DEFAULT_LABELS = "images/{split}/*.{jpg,jpeg,png}", "labels/{split}/{stem}.png"
LOWEST_ID, HIGHEST_ID = -(2**15), 2**16 - 1
SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
COLOUR_TEXT = re.compile(r"(\d{1,3})[ ,]+(\d{1,3})[ ,]+(\d{1,3})")
LIST_ENDINGS = (".txt", ".lst")


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
                raise self.error(key, f"{shown(key)}: unknown key; {remedy}")
            self.nodes[str(key.value)] = Node(key.line, node.value)

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
            splits=self.splits(images, labels),
            codes=self.codes(names, palette),
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
            raise self.error(name, f"name: {shown(name)} is not a name of at most 100 characters; put it in quotes")
        return name.value.strip()

    def names(self) -> tuple[str, ...]:
        """`names` of the classes, in the order of their ids."""
        if "names" not in self.nodes:
            raise DataError(f"{self.path}: no class names; write for example `names: [road, car]`")
        node = self.nodes["names"]
        found: list[str] = []
        for item in self.items("names", node, "[road, car]"):
            if not isinstance(item.value, str):
                raise self.error(item, f"names: {shown(item)} is not text; put the name in quotes")
            if not item.value.strip() or item.value in found or len(item.value) > 200:
                raise self.error(item, f"names: {shown(item)} is empty, too long or repeated; give each class a name")
            found.append(item.value)
        if len(found) > IGNORE_INDEX:
            raise self.error(node, f"names: {len(found)} classes; use at most {IGNORE_INDEX}")
        return tuple(found)

    def palette(self, names: tuple[str, ...]) -> tuple[Colour, ...]:
        """Colours of the classes; empty if not given."""
        if "palette" not in self.nodes:
            return ()
        node = self.nodes["palette"]
        found: list[Colour] = []
        for item in self.items("palette", node, "[[128, 64, 128], [0, 0, 142]]"):
            colour = colour_in(item)
            if colour is None or colour in found:
                raise self.error(
                    item, f"palette: {shown(item)} is not a colour [red, green, blue] that is new; correct it"
                )
            found.append(colour)
        if len(found) != len(names):
            raise self.error(
                node, f"palette: {len(found)} colours for {len(names)} classes; give one per class, or none"
            )
        return tuple(found)

    def patterns(self) -> tuple[PathPattern, PathPattern]:
        """`images` and `labels`, both or neither."""
        given = [key for key in ("images", "labels") if key in self.nodes]
        if len(given) == 1:
            other = "labels" if given == ["images"] else "images"
            example = DEFAULT_LABELS if other == "labels" else DEFAULT_IMAGES
            raise self.error(
                self.nodes[given[0]], f"{given[0]}: given without {other}; add for example {other}: {example}"
            )
        images = self.pattern("images", DEFAULT_IMAGES, IMAGE_ENDINGS)
        labels = self.pattern("labels", DEFAULT_LABELS, LABEL_ENDINGS)
        if given and labels.has("split") and not images.has("split"):
            raise self.error(
                self.nodes["labels"], "labels: has {split}, but images has not; use it in both, or in neither"
            )
        if given and not (labels.has("stem") or labels.has("folder")):
            raise self.error(self.nodes["labels"], "labels: one file for all images; use {stem} or {folder} in it")
        return images, labels

    def pattern(self, key: str, default: str, endings: tuple[str, ...]) -> PathPattern:
        """One of the two patterns."""
        node = self.nodes.get(key)
        if node is None:
            return PathPattern(default, endings)
        if not isinstance(node.value, str):
            raise self.error(node, f"{key}: {shown(node)} is not a pattern; write for example {default}")
        try:
            return PathPattern(node.value, endings)
        except ValueError as error:
            raise self.error(node, f"{key}: {error}") from error

    def splits(self, images: PathPattern, labels: PathPattern) -> Splits:
        """`splits`: folders, lists or shares."""
        node = self.nodes.get("splits")
        if node is None:
            if not images.has("split"):
                raise self.error(
                    self.nodes["images"],
                    "images: has no {split}, and there are no splits; add for example "
                    "`splits: {train: 0.8, val: 0.1, test: 0.1, seed: 0}`",
                )
            return Folders({})
        if isinstance(node.value, tuple):
            return self.of_folders(node, images, {self.split_name(item): str(item.value) for item in node.value})
        if not isinstance(node.value, Block) or not node.value.entries:
            raise self.error(node, f"splits: {shown(node)} is no list and no block; write for example [train, val]")
        entries = {self.split_name(key): item for key, item in node.value if key.value != "seed"}
        seeds = [item for key, item in node.value if key.value == "seed"]
        kinds = {kind_of_split(item) for item in entries.values()}
        if len(kinds) != 1 or "" in kinds:
            raise self.error(
                node, "splits: must be all folders, all lists (files.txt or [stems]) or all shares; write for example "
                "{train: 0.8, val: 0.2}",
            )  # fmt: skip
        (kind,) = kinds
        if seeds and kind != "share":
            raise self.error(seeds[0], "splits: seed is for shares only; remove it")
        if kind == "folder":
            return self.of_folders(node, images, {split: str(item.value) for split, item in entries.items()})
        if images.has("split"):
            raise self.error(node, f"splits: {kind}s choose among all images, but images has {{split}}; write * there")
        if kind == "list":
            return Lists({split: self.stems(item) for split, item in entries.items()})
        return self.of_shares(node, entries, seeds)

    def of_folders(self, node: Node, images: PathPattern, names: Mapping[str, str]) -> Folders:
        """Splits that are folders."""
        if not images.has("split"):
            raise self.error(node, "splits: folders, but images has no {split}; write {split} where the folder stands")
        if not names or any("/" in folder for folder in names.values()):
            raise self.error(node, "splits: a folder is one name, without slashes; write the rest into images")
        return Folders(dict(names))

    def of_shares(self, node: Node, entries: Mapping[str, Node], seeds: list[Node]) -> Shares:
        """Splits that are shares."""
        shares = {split: float(item.value) for split, item in entries.items()}  # type: ignore[arg-type]
        if any(not 0 < share <= 1 for share in shares.values()) or not math.isclose(
            sum(shares.values()), 1, abs_tol=1e-6
        ):
            raise self.error(
                node, f"splits: shares must be above 0 and add up to 1, not {sum(shares.values()):g}; correct them"
            )
        seed = seeds[0].value if seeds else 0
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise self.error(
                seeds[0], f"splits: seed {shown(seeds[0])} is not a whole number from 0; write for example 0"
            )
        return Shares(shares, seed)

    def split_name(self, node: Node) -> str:
        """The name of a split."""
        if not isinstance(node.value, str) or not SPLIT_NAME.fullmatch(node.value):
            raise self.error(node, f"splits: {shown(node)} is not the name of a split; use letters, digits, _ - and .")
        if node.value == "trainval":
            raise self.error(node, "splits: trainval is made of train and val by itself; remove it")
        return node.value

    def stems(self, node: Node) -> str | tuple[str, ...]:
        """A list file, or the stems."""
        if isinstance(node.value, str):
            return node.value
        items = self.items("splits", node, "[a, b]")
        if any(
            not isinstance(item.value, str | int) or isinstance(item.value, bool) or not str(item.value).strip()
            for item in items
        ):
            raise self.error(node, f"splits: {shown(node)} is no list of stems; write for example [a, b]")
        return tuple(str(item.value) for item in items)

    def codes(self, names: tuple[str, ...], palette: tuple[Colour, ...]) -> LabelCodes:
        """`map`, `reduce_zero_label` and `ignore`."""
        reduce = self.nodes.get("reduce_zero_label")
        if reduce is not None and not isinstance(reduce.value, bool):
            raise self.error(reduce, f"reduce_zero_label: must be true or false, not {shown(reduce)}; write true")
        node = self.nodes.get("map")
        if node is not None and reduce is not None and reduce.value:
            raise self.error(node, "map: not together with reduce_zero_label; remove one of the two")
        colours, classes = False, {index: index for index in range(len(names))}
        if reduce is not None and reduce.value:
            classes = {index + 1: index for index in classes}
        elif node is not None and node.value == "palette":
            if not palette:
                raise self.error(node, "map: there is no palette; add the colours of the classes as palette")
            colours, classes = True, {colour_code(colour): index for index, colour in enumerate(palette)}
        elif node is not None:
            colours, classes = self.mapping(node, names)
        default = () if colours else tuple(code for code in (IGNORE_INDEX,) if code not in classes)
        if reduce is not None and reduce.value:
            default = (0, IGNORE_INDEX)
        ignored = self.ignored(colours, classes, default)
        return LabelCodes(classes=classes, ignored=ignored, colours=colours)

    def mapping(self, node: Node, names: tuple[str, ...]) -> tuple[bool, dict[int, int]]:
        """Whether the keys of `map` are colours, and the class of each."""
        if not isinstance(node.value, Block) or not node.value.entries:
            raise self.error(node, f"map: {shown(node)} is no block; write for example {{0: road, 26: car}}")
        numbers = {name: index for index, name in enumerate(names)}
        classes: dict[int, int] = {}
        kinds: set[bool] = set()
        for key, item in node.value:
            code, is_colour = self.code("map", key)
            kinds.add(is_colour)
            if item.value not in numbers or not isinstance(item.value, str):
                near = difflib.get_close_matches(str(item.value), names, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else "add it to names, or put void ids into ignore"
                raise self.error(item, f"map: {shown(item)} is not one of names; {remedy}")
            if code in classes:
                raise self.error(key, f"map: {shown(key)} is given twice; keep one")
            classes[code] = numbers[item.value]
        if len(kinds) > 1:
            raise self.error(node, "map: ids and colours; use one of the two")
        if missing := [name for name in names if numbers[name] not in classes.values()]:
            raise self.error(node, f"map: nothing is mapped to {missing[0]!r}; add its id, or remove it from names")
        return kinds.pop(), classes

    def ignored(self, colours: bool, classes: Mapping[int, int], default: tuple[int, ...]) -> tuple[int, ...] | None:
        """The codes that are void."""
        node = self.nodes.get("ignore")
        if node is None:
            return default
        if node.value == "others":
            return None
        found: list[int] = []
        for item in self.items("ignore", node, "[0, 255]", empty=True):
            code, is_colour = self.code("ignore", item)
            if is_colour is not colours:
                what = "colours, because map has colours" if colours else "ids, because map has no colours"
                raise self.error(item, f"ignore: {shown(item)}; write {what}")
            if code in classes:
                raise self.error(
                    item, f"ignore: {shown(item)} is a class; remove it here, or map the ids of the classes"
                )
            found.append(code)
        return tuple(sorted({*found, *(default if "reduce_zero_label" in self.nodes else ())}))

    def code(self, key: str, node: Node) -> tuple[int, bool]:
        """The number of an id or colour, and whether it is a colour."""
        if (colour := colour_in(node)) is not None:
            return colour_code(colour), True
        if isinstance(node.value, int) and not isinstance(node.value, bool) and LOWEST_ID <= node.value <= HIGHEST_ID:
            return node.value, False
        text = f"is neither an id up to {HIGHEST_ID} nor a colour; write for example 26, or 128 64 128"
        raise self.error(node, f"{key}: {shown(node)} {text}")

    def image_range(self) -> tuple[float, float] | None:
        """`image_range`."""
        node = self.nodes.get("image_range")
        if node is None:
            return None
        values = [item.value for item in self.items("image_range", node, "[0, 4095]")]
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(values) != 2 or len(numbers) != 2 or not -math.inf < numbers[0] < numbers[1] < math.inf:
            raise self.error(node, f"image_range: {shown(node)} is not [low, high] with low < high; write [0, 4095]")
        return numbers[0], numbers[1]

    def channels(self) -> tuple[int, ...] | None:
        """`channels`."""
        node = self.nodes.get("channels")
        if node is None:
            return None
        values = [item.value for item in self.items("channels", node, "[0, 1, 2]")]
        chosen = tuple(
            value for value in values if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000
        )
        if len(chosen) != len(values) or len(chosen) not in (1, 3):
            raise self.error(node, f"channels: {shown(node)} is not one or three numbers from 0; write [0, 1, 2]")
        return chosen

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of some words."""
        node = self.nodes.get(key)
        if node is None:
            return default
        if node.value not in choices:
            raise self.error(node, f"{key}: {shown(node)} is not a choice; choose {' or '.join(choices)}")
        return str(node.value)

    def items(self, key: str, node: Node, example: str, *, empty: bool = False) -> tuple[Node, ...]:
        """The items of a list."""
        if not isinstance(node.value, tuple) or not (node.value or empty):
            raise self.error(node, f"{key}: {shown(node)} is not a list with items; write for example {example}")
        return node.value

    def error(self, node: Node, text: str) -> DataError:
        """A mistake in the line of a node."""
        return DataError(f"{self.path}:{node.line}: {text}")


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


def colour_in(node: Node) -> Colour | None:
    """`[128, 64, 128]` or `128 64 128` as a colour; None for anything else."""
    if isinstance(node.value, tuple):
        values: list[Any] = [item.value for item in node.value]
    elif isinstance(node.value, str) and (match := COLOUR_TEXT.fullmatch(node.value.strip())):
        values = [int(text) for text in match.groups()]
    else:
        return None
    legal = len(values) == 3 and all(type(value) is int and 0 <= value <= 255 for value in values)
    return (values[0], values[1], values[2]) if legal else None


def kind_of_split(node: Node) -> str:
    """`folder`, `list` or `share`; empty for anything else."""
    if isinstance(node.value, tuple):
        return "list"
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return "share"
    if isinstance(node.value, str) and node.value:
        return "list" if node.value.endswith(LIST_ENDINGS) else "folder"
    return ""
