"""Reads a small YAML 1.2 file into values that remember their line.

Length and depth have bounds, and aliases, tags and merge keys are refused, so the time and memory of reading have
bounds too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.machine.yaml_text import TAG, Scalar, YamlMistakeError, compose, scalar_value, tag_as_written
from trainer.errors import DataError

__all__ = ["Block", "Node", "read_block", "shown"]

MAX_CHARACTERS = 100_000
"""Of a file: about a second of reading."""
MAX_DEPTH = 8
"""Blocks and lists within each other; a description needs three."""
MAX_SHOWN = 80
"""Characters of the file that a message shows."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file."""

    path: Path
    """The file."""
    line: int
    """Counted from 1."""
    value: Scalar | tuple[Node, ...] | Block

    def plain(self) -> Any:
        """The value without lines: lists as lists, blocks as the pairs of their keys and values."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, Block):
            return [(key.plain(), item.plain()) for key, item in self.value.entries]
        return self.value

    def items(self, key: str, example: str, *, empty: bool = False) -> tuple[Node, ...]:
        """The items of a list. Raises DataError for anything else, and for an empty list unless it may be `empty`."""
        if not isinstance(self.value, tuple) or not (self.value or empty):
            raise self.error(f"{key}: {shown(self)} is not a list with items; write for example {example}")
        return self.value

    def error(self, text: str) -> DataError:
        """A mistake in the line of this value."""
        return DataError(f"{self.path}:{self.line}: {text}")


@dataclass(frozen=True, slots=True)
class Block:
    """Keys with their values, in the order of the file."""

    entries: tuple[tuple[Node, Node], ...]

    def __iter__(self) -> Iterator[tuple[Node, Node]]:
        return iter(self.entries)


def shown(value: object) -> str:
    """A value in a message, shortened."""
    text = repr(value.plain() if isinstance(value, Node) else value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 4]}...{text[-1]}"


def read_block(path: Path) -> Block:
    """The block of `key: value` lines in a file. Raises DataError with file, line and remedy."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); correct the path, or its permissions") from error
    if len(text) > MAX_CHARACTERS:
        raise DataError(f"{path}: more than {MAX_CHARACTERS} characters; put lists of images into files of their own")
    node = Reader(path).read(text)
    if node is None:
        raise DataError(f"{path}: empty; write at least `names: [road, car]`")
    if not isinstance(node.value, Block):
        raise DataError(
            f"{path}:{node.line}: not a block of `key: value` lines; write for example `names: [road, car]`"
        )
    return node.value


class Reader:
    """Turns the nodes of ruamel.yaml into ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: set[int] = set()

    def read(self, text: str) -> Node | None:
        """The whole document; None if it is empty. Raises DataError."""
        try:
            top = compose(text, max_depth=MAX_DEPTH)
        except YamlMistakeError as mistake:
            raise self.error(mistake.line, str(mistake)) from mistake
        return None if top is None else self.node(top)

    def node(self, found: Any) -> Node:
        """A node of ruamel.yaml with all below it."""
        from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

        line = int(found.start_mark.line) + 1
        if id(found) in self._seen:
            raise self.error(line, "an alias; write the value out")
        self._seen.add(id(found))
        kind = str(found.tag).removeprefix(TAG)
        if isinstance(found, SequenceNode) and kind == "seq":
            return Node(self.path, line, tuple(self.node(item) for item in found.value))
        if isinstance(found, MappingNode) and kind == "map":
            return Node(self.path, line, self.block(found))
        if isinstance(found, ScalarNode) and kind != "merge":
            return Node(self.path, line, self.scalar(line, found))
        what = "merge keys are" if kind == "merge" else f"the tag {tag_as_written(found)} is"
        raise self.error(line, f"{what} not supported; write a plain value")

    def block(self, found: Any) -> Block:
        """A block whose keys differ. Raises DataError."""
        entries: list[tuple[Node, Node]] = []
        lines: dict[str, int] = {}
        for key_node, value_node in found.value:
            key = self.node(key_node)
            name = repr(key.plain())
            if name in lines:
                raise self.error(key.line, f"{shown(key)} is given twice (also in line {lines[name]}); keep one")
            lines[name] = key.line
            entries.append((key, self.node(value_node)))
        return Block(tuple(entries))

    def scalar(self, line: int, found: Any) -> Scalar:
        """A single value. Raises DataError."""
        try:
            value = scalar_value(found)
        except YamlMistakeError as mistake:
            raise self.error(line, str(mistake)) from mistake
        breaks = isinstance(value, str) and any(
            letter in "\0\r\n\x85\u2028\u2029" or "\ud800" <= letter <= "\udfff" for letter in value
        )
        if breaks:
            raise self.error(line, f"a line break or special character in {shown(value)}; write it on one line")
        return value

    def error(self, line: int, text: str) -> DataError:
        """A mistake in a line."""
        return DataError(f"{self.path}:{line}: {text}")
