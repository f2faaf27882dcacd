"""YAML 1.2 as nodes and single values, in bounded time; what both readers of YAML files of users share.

ruamel.yaml is imported on demand: it takes 30 ms, and most processes read no YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from orchestrator.machine.one_line import in_one_line

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node, ScalarNode

__all__ = ["TAG", "TOO_DEEP", "Scalar", "YamlMistakeError", "compose", "scalar_value", "tag_as_written"]

TAG = "tag:yaml.org,2002:"
TOO_DEEP = "blocks are nested too deeply; use fewer levels"
MAX_BITS = 63
"""Size limit of a whole number."""
MAX_SHOWN = 80
"""Characters of the file that a message shows."""
TEXT = tuple(f"{TAG}{kind}" for kind in ("str", "bool", "timestamp", "merge", "value"))
"""Tags of scalars that are text, if they are no boolean."""

Scalar: TypeAlias = bool | int | float | str | None


class YamlMistakeError(ValueError):
    """Text that is no YAML, or a value that is not supported: `what is wrong; remedy`."""

    def __init__(self, text: str, line: int = 1) -> None:
        super().__init__(text)
        self.line = line
        """Counted from 1."""


def compose(text: str, *, max_depth: int) -> Node | None:
    """The node tree of `text`, with blocks and lists to `max_depth`; None when it is empty. Raises YamlMistakeError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.reader import ReaderError
    from ruamel.yaml.scanner import RoundTripScanner, ScannerError

    class BoundedScanner(RoundTripScanner):
        """Ends at the first token that is nested too deeply: the time of ruamel.yaml grows with the depth squared."""

        def fetch_more_tokens(self) -> Any:
            """Read one token or more. Raises ScannerError where they are nested too deeply."""
            super().fetch_more_tokens()
            if self.flow_level + len(self.indents) > max_depth:
                raise ScannerError(None, None, TOO_DEEP, self.reader.get_mark())

    parser = YAML(pure=True)
    parser.Scanner = BoundedScanner
    parser.composer.warn_double_anchors = False  # YAML 1.2 allows them: an alias means the last anchor before it
    try:
        node: Node | None = parser.compose(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlMistakeError("a control character that YAML forbids; remove it", line) from error
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "context", None) or error
        raise YamlMistakeError(in_words(in_one_line(problem)), mark.line + 1 if mark else 1) from error
    except Exception as error:  # a bug of the parser: `"\U00110000"` makes it raise ValueError
        raise YamlMistakeError(in_words(f"the parser fails ({error})")) from error
    return node


def in_words(problem: str) -> str:
    """The parser's `problem` in plain words."""
    if problem == TOO_DEEP:
        return problem
    if "'\\t'" in problem:
        return "a tab where YAML expects spaces; indent with spaces"
    if "another document" in problem:
        return "a second document (`---`); write one document per file"
    return f"not valid YAML: {problem}; check indentation, colons, brackets and quotes here"


def scalar_value(node: ScalarNode) -> Scalar:
    """Text, a number, a boolean or null by the YAML 1.2 core schema; dates stay text. Raises YamlMistakeError."""
    text, tag = str(node.value), str(node.tag)
    if tag == f"{TAG}null":
        return None
    if tag == f"{TAG}bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if tag == f"{TAG}int":
        return integer(text)
    if tag == f"{TAG}float":
        return decimal(text)
    if tag not in TEXT:
        raise YamlMistakeError(f"the tag {tag_as_written(node)} is not supported; write a plain value")
    return text


def integer(text: str) -> int:
    """`10`, `1_000`, `0o17`, `0x1F`; `017` is seventeen."""
    digits = text.replace("_", "")
    try:
        if len(digits) > MAX_BITS + len("-0b"):
            raise OverflowError
        value = int(digits, 0) if digits.lstrip("+-")[:2].lower() in ("0o", "0x", "0b") else int(digits)
        if value.bit_length() > MAX_BITS:
            raise OverflowError
    except OverflowError:
        raise YamlMistakeError(f"a whole number of more than {MAX_BITS} bits; write a smaller one") from None
    except ValueError:
        raise YamlMistakeError(f"{quoted(text)} is not a whole number; remove the tag !!int") from None
    return value


def decimal(text: str) -> float:
    """`0.1`, `1e-4`, `.5`, `.inf`, `.nan`."""
    try:
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise YamlMistakeError(f"{quoted(text)} is not a number; remove the tag !!float") from None


def tag_as_written(node: Node) -> str:
    """The tag of a node as in the file: `!!set`."""
    return shortened(str(node.tag).replace(TAG, "!!"))


def quoted(text: str) -> str:
    """Text of the file in a message."""
    return shortened(repr(text))


def shortened(text: str) -> str:
    """Text of the file without its end, if it is long."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ..."
