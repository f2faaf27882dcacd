"""A digest of the trainer's code: equal digests mean equal figures on equal machines.

Each file is reduced to its syntax tree without comments, docstrings and formatting. Names, annotations and messages
count. Files that cannot change a figure are left out (`NOT_COUNTED`). Imports no torch, because planning compares it.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from trainer.config import RESULT_VERSION
from trainer.equal_code import EQUAL_CODE, EQUAL_RESULT_VERSION

__all__ = [
    "NOT_COUNTED",
    "code_digest",
    "codes_in",
    "equal_codes",
    "joined",
    "present_code",
    "present_files",
    "source_digests",
]

NOT_COUNTED: Mapping[str, str] = {
    "code_digest.py": "compares code; the decision which checkpoint is resumed is in checkpoint.py, which counts",
    "data/__main__.py": "prints what data/check.py finds",
    "data/check.py": "inspects a data set for a user",
    "equal_code.py": "lists digests",
    "export.py": "reads a finished trial",
    "golden/": "runs tiny trials with two versions of the code",
    "pictures/": "draws after the figures are measured",
    "probe.py": "measures memory; its weights are thrown away",
    "streams.py": "encodes what is printed",
    "testing/": "suites of tests",
}
"""Files and folders (`/`) below `trainer` that cannot change a figure, with the reason.

A tiny trial must give the same bits without them (tests/trainer/test_code_digest.py).
"""

JOINT = "+"
"""Between the digests of a trial that was resumed with other code."""

PACKAGE = Path(__file__).resolve().parent


def source_digests(package: Path) -> dict[str, str]:
    """By path below `package`, the digest of the syntax tree of each Python file that counts.

    Twelve hexadecimal digits of SHA-256; of a draft that does not parse, those of its text.
    """
    found = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if counts(name):
            found[name] = short(normalised(path.read_text(encoding="utf-8", errors="replace")))
    return found


def counts(name: str) -> bool:
    """Whether a file below `trainer` can change a figure. A hidden file cannot be imported."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and not any(
        name == item or (item.endswith("/") and name.startswith(item)) for item in NOT_COUNTED
    )


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


@cache
def present_files() -> Mapping[str, str]:
    """`source_digests` of this very package, as its files were at the first call in this process."""
    return source_digests(PACKAGE)


@cache
def present_code() -> str:
    """The digest of this very package."""
    return code_digest(present_files())


def equal_codes() -> tuple[str, ...]:
    """The digest of this package first, then those of code that is proven to give equal figures."""
    present = present_code()
    groups = EQUAL_CODE if EQUAL_RESULT_VERSION == RESULT_VERSION else ()
    proven = next((group for group in groups if present in group), ())
    return tuple(dict.fromkeys((present, *proven)))


def joined(codes: Iterable[str]) -> str:
    """Several digests as one text, `8d1f…+a03c…`: a trial that was started by the first and resumed by the others."""
    return JOINT.join(dict.fromkeys(codes))


def codes_in(text: str) -> tuple[str, ...]:
    """The digests in what `joined` returns; none in an empty text."""
    return tuple(text.split(JOINT)) if text else ()
