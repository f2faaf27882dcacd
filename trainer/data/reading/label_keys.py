"""The keys of a description that say what labels mean: `map`, `ignore` and `reduce_zero_label`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from trainer.data.reading.label_codes import LabelCodes, colour_code
from trainer.data.reading.yaml_file import Block, Node, shown
from trainer.data.source import IGNORE_INDEX, Colour

__all__ = ["colour_in", "read_codes"]

LOWEST_ID, HIGHEST_ID = -(2**15), 2**16 - 1
COLOUR_TEXT = re.compile(r"(\d{1,3})[ ,]+(\d{1,3})[ ,]+(\d{1,3})")


def read_codes(nodes: Mapping[str, Node], names: tuple[str, ...], palette: tuple[Colour, ...]) -> LabelCodes:
    """`map`, `reduce_zero_label` and `ignore` of a description with these keys. Raises DataError."""
    reduce = nodes.get("reduce_zero_label")
    if reduce is not None and not isinstance(reduce.value, bool):
        raise reduce.error(f"reduce_zero_label: must be true or false, not {shown(reduce)}; write true")
    node = nodes.get("map")
    if node is not None and reduce is not None and reduce.value:
        raise node.error("map: not together with reduce_zero_label; remove one of the two")
    colours, classes = False, {index: index for index in range(len(names))}
    if reduce is not None and reduce.value:
        classes = {index + 1: index for index in classes}
    elif node is not None and node.value == "palette":
        if not palette:
            raise node.error("map: there is no palette; add the colours of the classes as palette")
        colours, classes = True, {colour_code(colour): index for index, colour in enumerate(palette)}
    elif node is not None:
        colours, classes = mapping(node, names)
    default = () if colours else tuple(code for code in (IGNORE_INDEX,) if code not in classes)
    if reduce is not None and reduce.value:
        default = (0, IGNORE_INDEX)
    ignored = ignored_codes(nodes, colours, classes, default)
    return LabelCodes(classes=classes, ignored=ignored, colours=colours)


def mapping(node: Node, names: tuple[str, ...]) -> tuple[bool, dict[int, int]]:
    """Whether the keys of `map` are colours, and the class of each."""
    if not isinstance(node.value, Block) or not node.value.entries:
        raise node.error(f"map: {shown(node)} is no block; write for example {{0: road, 26: car}}")
    numbers = {name: index for index, name in enumerate(names)}
    classes: dict[int, int] = {}
    kinds: set[bool] = set()
    for key, item in node.value:
        code, is_colour = code_in("map", key)
        kinds.add(is_colour)
        if item.value not in numbers or not isinstance(item.value, str):
            near = difflib.get_close_matches(str(item.value), names, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "add it to names, or put void ids into ignore"
            raise item.error(f"map: {shown(item)} is not one of names; {remedy}")
        if code in classes:
            raise key.error(f"map: {shown(key)} is given twice; keep one")
        classes[code] = numbers[item.value]
    if len(kinds) > 1:
        raise node.error("map: ids and colours; use one of the two")
    if missing := [name for name in names if numbers[name] not in classes.values()]:
        raise node.error(f"map: nothing is mapped to {missing[0]!r}; add its id, or remove it from names")
    return kinds.pop(), classes


def ignored_codes(
    nodes: Mapping[str, Node], colours: bool, classes: Mapping[int, int], default: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The codes that are void."""
    node = nodes.get("ignore")
    if node is None:
        return default
    if node.value == "others":
        return None
    found: list[int] = []
    for item in node.items("ignore", "[0, 255]", empty=True):
        code, is_colour = code_in("ignore", item)
        if is_colour is not colours:
            what = "colours, because map has colours" if colours else "ids, because map has no colours"
            raise item.error(f"ignore: {shown(item)}; write {what}")
        if code in classes:
            raise item.error(f"ignore: {shown(item)} is a class; remove it here, or map the ids of the classes")
        found.append(code)
    return tuple(sorted({*found, *(default if "reduce_zero_label" in nodes else ())}))


def code_in(key: str, node: Node) -> tuple[int, bool]:
    """The number of an id or colour, and whether it is a colour."""
    if (colour := colour_in(node)) is not None:
        return colour_code(colour), True
    if isinstance(node.value, int) and not isinstance(node.value, bool) and LOWEST_ID <= node.value <= HIGHEST_ID:
        return node.value, False
    text = f"is neither an id up to {HIGHEST_ID} nor a colour; write for example 26, or 128 64 128"
    raise node.error(f"{key}: {shown(node)} {text}")


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
