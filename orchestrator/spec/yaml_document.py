"""Read a YAML 1.2 file into plain values, remembering for each of them the file and line it came from.

YAML 1.2 because `1e-4` must be a number, `off` a word and a repeated key an error; PyYAML gets all three wrong.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from orchestrator.errors import SpecError
from orchestrator.spec.paths import is_file, is_whole, missing_file
from orchestrator.spec.renamed_keys import current_key

__all__ = ["Document", "Origins", "Place", "parse_value", "parse_yaml", "read_yaml"]

Place = tuple[str | int, ...]
"""Keys and list positions from the top of a document down to a value."""

Locate = Callable[[int], str]
"""From a line, counted from 1, to the origin in messages."""

TAG = "tag:yaml.org,2002:"

MAX_VALUES = 100_000
"""Values of one file, aliases counted as often as they are used; more than these are a slip or an attack."""

MAX_BITS = 63
"""Of a whole number."""

UNFIT_FOR_KEYS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of characters that break the line of a message: control, surrogate, line and paragraph."""


class Origins(Mapping[Place, str]):
    """For each value of a document where it stands: `("seeds",)` -> `ablation_memory.yaml:6`.

    Places are tuples, as keys may hold dots themselves (`contrast.memory.kind`, `w/o contrast`).
    """

    def __init__(self, origins: Mapping[Place, str]) -> None:
        self._origins = origins

    def __getitem__(self, place: Place) -> str:
        return self._origins[place]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._origins)

    def __len__(self) -> int:
        return len(self._origins)

    def nearest(self, *place: str | int) -> str:
        """Origin of `place`, or of the closest block around it that the document has."""
        while place not in self._origins:
            place = place[:-1]
        return self[place]


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """The content of a YAML file whose top is a mapping."""

    values: dict[str, Any]
    origins: Origins
    text: str


def read_yaml(path: Path) -> Document:
    """Content of the file at `path`; its origins spell the path as given.

    Raises SpecError for a missing or undecodable file, wrong syntax, a repeated key, or a top that is no mapping.
    """
    if not is_file(path):
        raise SpecError(f"{path}: {missing_file(path)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Document:
    """`text` as a document whose origins are `source:LINE`. Raises SpecError as `read_yaml` does."""

    def locate(line: int) -> str:
        return f"{source}:{line}"

    node = compose(text, locate)
    if not isinstance(node, MappingNode):
        raise SpecError(f"{locate(1)}: not a block of `key: value` lines; see search_spaces/README.md")
    builder = Builder(locate)
    values = builder.mapping(node, ())
    if builder.problems:
        raise SpecError(*builder.problems)
    return Document(values=values, origins=Origins(builder.origins), text=text)


def parse_value(text: str, origin: str) -> Any:
    """A single value, for example of `--set key=value`. Raises SpecError for wrong syntax or a repeated key."""

    def locate(_line: int) -> str:
        return origin

    node = compose(text, locate)
    if node is None:
        return None
    builder = Builder(locate)
    value = builder.value(node, ())
    if builder.problems:
        raise SpecError(*builder.problems)
    return value


def compose(text: str, locate: Locate) -> Node | None:
    """The node tree of `text`; None when it is empty."""
    parser = YAML(pure=True)
    parser.composer.warn_double_anchors = False  # YAML 1.2 allows them: an alias means the last one before it
    try:
        node: Node | None = parser.compose(text)
    except ReaderError as error:
        origin = locate(text.count("\n", 0, error.position) + 1)
        raise SpecError(f"{origin}: a control character that YAML forbids; remove it") from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "context", None) or error
        line = mark.line + 1 if mark else 1
        raise SpecError(f"{locate(line)}: {syntax_problem(' '.join(str(problem).split()))}") from error
    except RecursionError as error:
        raise SpecError(f"{locate(1)}: blocks nested too deeply to be read; write fewer levels") from error
    except Exception as error:  # a bug of the parser: `"\U00110000"` makes it raise ValueError
        raise SpecError(f"{locate(1)}: {syntax_problem(f'the parser fails ({error})')}") from error
    return node


def syntax_problem(problem: str) -> str:
    """A parser's complaint in words for people."""
    if "'\\t'" in problem:
        return "a tab where YAML wants spaces; indent with spaces"
    if "another document" in problem:
        return "a second document (`---`); keep one per file"
    return f"not valid YAML: {problem}; check indentation, colons, brackets and quotes here"


class Builder:
    """Turns nodes into plain values, noting origins and mistakes on the way."""

    def __init__(self, locate: Locate) -> None:
        self.locate = locate
        self.origins: dict[Place, str] = {}
        self.problems: list[str] = []
        self._open: set[int] = set()
        self._values = 0

    def value(self, node: Node, place: Place) -> Any:
        """The value of any node."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise SpecError(f"{self.locate(line_of(node))}: more than {MAX_VALUES} values; write fewer aliases")
        if isinstance(node, ScalarNode):
            self.origins.setdefault(place, self.locate(line_of(node)))
            return self.scalar(node, place)
        if id(node) in self._open:
            self.complain(node, place, "an alias to the block it stands in; write the value out")
            return None
        if node.tag not in (f"{TAG}map", f"{TAG}seq"):
            self.complain(node, place, f"the tag {shown_tag(node)} is not supported; write a plain value")
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                self.origins.setdefault(place, self.locate(line_of(node)))
                return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
            return self.mapping(node, place)
        finally:
            self._open.discard(id(node))

    def mapping(self, node: Node, place: Place) -> dict[str, Any]:
        """A dict with text keys; the line of each value is the line of its key."""
        self.origins.setdefault(place, self.locate(line_of(node)))
        values: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.complain(key_node, place, "a key must be plain text; put it in quotes")
                continue
            key = current_key(str(key_node.value), self.locate(line_of(key_node)), str(place[-1]) if place else "")
            here = (*place, key)
            if any(unicodedata.category(letter) in UNFIT_FOR_KEYS for letter in key):
                self.complain(key_node, (*place, ascii(key)), "a line break or control character in a key; remove it")
                continue
            if key in first_lines:
                text = f"given twice (first in line {first_lines[key]}); remove one of the two"
                self.complain(key_node, here, text)
                continue
            if key_node.tag == f"{TAG}merge":
                self.complain(key_node, here, "merge keys are not supported; write the keys out")
                continue
            first_lines[key] = line_of(key_node)
            self.origins[here] = self.locate(first_lines[key])
            values[key] = self.value(value_node, here)
        return values

    def scalar(self, node: ScalarNode, place: Place) -> Any:
        """A word, number, truth value or null by the YAML 1.2 core schema; dates stay text."""
        text, tag = str(node.value), str(node.tag)
        if tag == f"{TAG}null":
            return None
        if tag == f"{TAG}bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if tag == f"{TAG}int":
            return self.integer(node, place, text)
        if tag == f"{TAG}float":
            return self.number(node, place, text)
        if tag not in (f"{TAG}str", f"{TAG}bool", f"{TAG}timestamp", f"{TAG}merge", f"{TAG}value"):
            self.complain(node, place, f"the tag {shown_tag(node)} is not supported; write a plain value")
        if not is_whole(text):
            self.complain(node, place, "half a character (a surrogate) or a null in a text; write whole characters")
            return ""
        return current_key(text, self.locate(line_of(node)))

    def integer(self, node: ScalarNode, place: Place, text: str) -> int:
        """`10`, `1_000`, `0o17`, `0x1F`; `017` is seventeen."""
        digits = text.replace("_", "")
        try:
            if len(digits) > MAX_BITS + len("-0b"):
                raise OverflowError
            value = int(digits, 0) if digits.lstrip("+-")[:2].lower() in ("0o", "0x", "0b") else int(digits)
            if value.bit_length() > MAX_BITS:
                raise OverflowError
        except OverflowError:
            self.complain(node, place, f"a whole number of more than {MAX_BITS} bits; write a smaller one")
        except ValueError:
            self.complain(node, place, f"{text!r} is no whole number; remove the tag !!int")
        else:
            return value
        return 0

    def number(self, node: ScalarNode, place: Place, text: str) -> float:
        """`0.1`, `1e-4`, `.5`, `.inf`, `.nan`."""
        try:
            return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.complain(node, place, f"{text!r} is no number; remove the tag !!float")
            return 0.0

    def complain(self, node: Node, place: Place, text: str) -> None:
        """Note a mistake at the line of `node`."""
        key = ".".join(map(str, place))
        self.problems.append(f"{self.locate(line_of(node))}: {key + ': ' if key else ''}{text}")


def line_of(node: Node) -> int:
    """Line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def shown_tag(node: Node) -> str:
    """The tag of a node as a user writes it, `!!set`."""
    return str(node.tag).replace(TAG, "!!")
