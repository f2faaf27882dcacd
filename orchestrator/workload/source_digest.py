"""Digests of Python source: a file is reduced to its syntax tree without comments, docstrings and formatting.

Names, annotations and messages count. So equal digests mean equal results on equal machines.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["code_digest", "codes_in", "joined", "normalised", "short", "source_digest"]

JOINT = "+"
"""Between the digests of a trial that was resumed with other code."""


def source_digest(text: str) -> str:
    """Twelve hexadecimal digits of the syntax tree of a source text; of a draft that does not parse, of its text."""
    return short(normalised(text))


def normalised(text: str) -> str:
    """The source `text` without what does not count."""
    try:
        return structure(ast.parse(text))
    except (SyntaxError, ValueError):
        return text


def structure(node: Any) -> str:
    """A syntax tree as text: no positions, no empty fields, no statement that is only a string.

    Unlike that of `ast.dump`, the text is the same with every version of Python that parses the file alike.
    """
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={structure(value)}"
            for name, value in ast.iter_fields(node)
            if value is not None and value != [] and name != "kind"  # kind: the u of u"text"
        ]
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(structure(item) for item in node if not is_text(item))}]"
    return repr(node)


def is_text(node: Any) -> bool:
    """Whether a statement is only a string: a docstring of a module, a class, a function or a field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def code_digest(files: Mapping[str, str]) -> str:
    """The digest of the whole, of what `source_digests` returns."""
    return short(json.dumps(dict(files), sort_keys=True))


def short(text: str) -> str:
    """The first twelve hexadecimal digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def joined(codes: Iterable[str]) -> str:
    """Several digests as one text, `8d1f…+a03c…`: a trial that was started by the first and resumed by the others."""
    return JOINT.join(dict.fromkeys(codes))


def codes_in(text: str) -> tuple[str, ...]:
    """The digests in what `joined` returns; none in an empty text."""
    return tuple(text.split(JOINT)) if text else ()
