"""Read a YAML 1.2 file into plain values that remember the file and line they come from.

YAML 1.2, because `1e-4` must be a number, `off` a word and a repeated key an error; PyYAML gets all three wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.errors import SpecError, SpecErrorCollector, shortened
from orchestrator.machine.yaml_text import TAG, TOO_DEEP, YamlMistakeError, compose, scalar_value, tag_as_written
from orchestrator.spec.paths import is_encodable, is_file, missing_file
from orchestrator.spec.renamed_keys import current_key

__all__ = [
    "MAX_CHARACTERS",
    "Block",
    "Document",
    "Items",
    "KeyPath",
    "parse_value",
    "parse_yaml",
    "read_yaml",
    "without",
]

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to a value: `("rows", "w/o contrast")`."""

MAX_CHARACTERS = 1_000_000
"""Length of one file: about ten seconds of reading."""

MAX_DEPTH = 32
"""Blocks and lists within each other, aliases included; the deepest setting of the trainer needs six."""

MAX_KEY = 200
"""Characters of a key or label."""

MAX_VALUES = 100_000
"""Values in one file, where each use of an alias counts; more are a typo or an attack."""

FORBIDDEN_IN_KEYS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that break the line of a message: control, surrogate, line and paragraph separator."""


class Block(dict[str, Any]):
    """A mapping in a file; `origins` has the `file:line` of each key."""

    def __init__(self, entries: Iterable[tuple[str, Any, str]] = ()) -> None:
        super().__init__()
        self.origins: dict[str | int, str] = {}
        for key, value, origin in entries:
            self[key] = value
            self.origins[key] = origin


class Items(list[Any]):
    """A list in a file; `origins` has the `file:line` of each position."""

    def __init__(self, entries: Iterable[tuple[Any, str]] = ()) -> None:
        super().__init__()
        self.origins: dict[str | int, str] = {}
        for position, (value, origin) in enumerate(entries):
            self.append(value)
            self.origins[position] = origin


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The content of a YAML file whose top level is a mapping."""

    values: Block
    """Unchecked. Only `extends`, which merges documents, and `schema`, which types them, read it."""
    top: str
    """`file:line` of the top-level mapping."""
    text: str

    def origin(self, *path: str | int) -> str:
        """`file:line` of the value at `path`, or of the closest block around it."""
        origin, value = self.top, self.values
        for key in path:
            if key not in getattr(value, "origins", ()):
                break
            origin, value = value.origins[key], value[key]  # type: ignore[index]
        return origin


def without(value: Any, paths: set[KeyPath], here: KeyPath = ()) -> Any:
    """A copy of a block or list without the values at `paths`, and without blocks and lists that this empties."""
    keys = value if isinstance(value, Block) else range(len(value))
    left: list[tuple[Any, Any, str]] = []
    for key in keys:
        path, item = (*here, key), value[key]
        if path in paths:
            continue
        if isinstance(item, Block | Items) and item:
            item = without(item, paths, path)
            if not item:
                continue
        left.append((key, item, value.origins[key]))
    return Block(left) if isinstance(value, Block) else Items((item, origin) for _, item, origin in left)


def read_yaml(path: Path) -> Document:
    """The content of the file at `path`; origins spell the path as given.

    Raises SpecError for a missing, unreadable or undecodable file, one that is too long or nested too deeply, invalid
    syntax, a repeated key, or a top level that is not a mapping.
    """
    if not is_file(path):
        raise SpecError(f"{path}: {missing_file(path)}")
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            text = file.read(MAX_CHARACTERS + 1)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror}); correct its permissions, or the path") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Document:
    """`text` as a document whose origins are `source:LINE`. Raises SpecError like `read_yaml`."""
    builder = Builder(lambda line: f"{source}:{line}")
    node = builder.compose(text)
    if not isinstance(node, MappingNode):
        raise SpecError(f"{builder.locate(1)}: not a block of `key: value` lines; see search_spaces/README.md")
    values = builder.mapping(node, ())
    builder.errors.raise_any()
    return Document(values=values, top=builder.origin(node), text=text)


def parse_value(text: str, origin: str) -> Any:
    """A single value, for example of `--set key=value`. Raises SpecError for invalid syntax or a repeated key."""
    builder = Builder(lambda _line: origin)
    node = builder.compose(text)
    value = None if node is None else builder.value(node, ())
    builder.errors.raise_any()
    return value


class Builder:
    """Turns nodes into plain values; collects the mistakes in `errors`."""

    def __init__(self, locate: Callable[[int], str]) -> None:
        """`locate` turns a line number, counted from 1, into the `file:line` of messages."""
        self.locate = locate
        self.errors = SpecErrorCollector()
        self._open: set[int] = set()
        self._values = 0

    def compose(self, text: str) -> Node | None:
        """The node tree of `text`; None when it is empty. Raises SpecError for invalid syntax."""
        if len(text) > MAX_CHARACTERS:
            raise SpecError(f"{self.locate(1)}: more than {MAX_CHARACTERS} characters; use a grid, or several files")
        try:
            return compose(text, max_depth=MAX_DEPTH)
        except YamlMistakeError as mistake:
            raise SpecError(f"{self.locate(mistake.line)}: {mistake}") from mistake

    def value(self, node: Node, path: KeyPath) -> Any:
        """The value of any node."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise SpecError(f"{self.origin(node)}: more than {MAX_VALUES} values; use fewer aliases")
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if id(node) in self._open:
            self.report(node, path, "an alias to the block that contains it; write the value out")
            return None
        if len(self._open) == MAX_DEPTH:  # by aliases; the scanner refuses what is written so
            raise SpecError(f"{self.origin(node)}: {TOO_DEEP}")
        if node.tag not in (f"{TAG}map", f"{TAG}seq"):
            self.report(node, path, f"the tag {tag_as_written(node)} is not supported; write a plain value")
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return Items(
                    (self.value(item, (*path, position)), self.origin(item)) for position, item in enumerate(node.value)
                )
            return self.mapping(node, path)
        finally:
            self._open.discard(id(node))

    def mapping(self, node: Node, path: KeyPath) -> Block:
        """A block with text keys; the origin of each value is that of its key."""
        block = Block()
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.report(key_node, path, "a key must be plain text; put it in quotes")
                continue
            block_name = str(path[-1]) if path else ""
            if len(key_node.value) > MAX_KEY:
                text = f"a key of more than {MAX_KEY} characters; write a shorter one"
                self.report(key_node, (*path, shortened(key_node.value)), text)
                continue
            key = current_key(str(key_node.value), self.origin(key_node), block_name)
            here = (*path, key)
            if any(unicodedata.category(letter) in FORBIDDEN_IN_KEYS for letter in key):
                self.report(key_node, (*path, ascii(key)), "a line break or control character in a key; remove it")
            elif key in block.origins:
                self.report(key_node, here, f"given twice (also at {block.origins[key]}); remove one of the two")
            elif key_node.tag == f"{TAG}merge":
                self.report(key_node, here, "merge keys are not supported; write the keys out")
            else:
                block.origins[key] = self.origin(key_node)
                block[key] = self.value(value_node, here)
        return block

    def scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        """Text, a number, a boolean or null by the YAML 1.2 core schema; dates stay text."""
        try:
            value = scalar_value(node)
        except YamlMistakeError as mistake:
            self.report(node, path, str(mistake))
            return ""
        if not isinstance(value, str):
            return value
        if not is_encodable(value):
            self.report(node, path, "a lone surrogate or a null character in text; write whole characters")
            return ""
        return current_key(value, self.origin(node))

    def report(self, node: Node, path: KeyPath, text: str) -> None:
        """Note a mistake at the line of `node`."""
        key = "".join(f"{part}." for part in path)[:-1]
        self.errors.messages.append(f"{self.origin(node)}: {key + ': ' if key else ''}{text}")

    def origin(self, node: Node) -> str:
        """`file:line` of a node."""
        return self.locate(int(node.start_mark.line) + 1)
