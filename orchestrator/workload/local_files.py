"""The Python files of a user that travel with a trial: a file, and the files beside it that it imports. Imports none.

A file beside it goes before an installed module of the same name, as for a script that is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["MAX_BYTES", "OWN_PACKAGES", "SourceError", "local_imports", "local_name", "parsed", "read_text", "texts_of"]

OWN_PACKAGES = ("orchestrator", "reports", "trainer")
"""Never a file beside another."""

MAX_BYTES = 2_000_000
"""Of the text of a file and of what it imports from its folder; it is sent with every trial."""


class SourceError(Exception):
    """Source that cannot be used; the message is one line and begins with its file and line."""


def texts_of(path: Path) -> dict[str, str]:
    """The text of a file and of those beside it that it imports, by name relative to the folder. Raises SourceError."""
    texts: dict[str, str] = {}
    waiting = [path.name]
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name] = read_text(path.parent / name)
            waiting += local_imports(path.parent, name, parsed(texts[name], path.parent / name))
    if sum(map(len, texts.values())) > MAX_BYTES:
        text = f"imports more than {MAX_BYTES:,} characters of source from its folder; import less"
        raise SourceError(f"{path}:1: {text}")
    return texts


def read_text(path: Path) -> str:
    """The text of a file. Raises SourceError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise SourceError(f"{path}:1: cannot be read ({reason})") from error


def parsed(text: str, path: Path) -> ast.Module:
    """The syntax tree of a file. Raises SourceError with the line that does not parse."""
    try:
        return ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SourceError(f"{path}:{line}: {what}; this is not Python source") from error


def local_imports(folder: Path, name: str, tree: ast.Module) -> list[str]:
    """Names of the files below `folder` that the file `name` imports."""
    found: list[str] = []
    for module in imported_modules(tree, name):
        parts = module.split(".")
        if parts[0] in OWN_PACKAGES or local_name(folder, parts[0]) is None:
            continue
        for count in range(1, len(parts) + 1):
            file = local_name(folder, ".".join(parts[:count]))
            if file:
                found.append(file)
    return found


def imported_modules(tree: ast.Module, name: str) -> Iterator[str]:
    """Dotted names that the file `name` imports, absolute in the folder; names in a module may be among them."""
    package = name.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names if alias.name != "*")


def local_name(folder: Path, module: str) -> str | None:
    """The file of a module below `folder`; empty for a folder without `__init__.py`; None if there is none."""
    path = module.replace(".", "/")
    for name in (f"{path}/__init__.py", f"{path}.py"):
        if (folder / name).is_file():
            return name
    return "" if any((folder / path).glob("*.py")) else None
