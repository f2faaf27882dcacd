"""The source code of a plugin: its file, the files beside it that it imports, and their digest. Imports no plugin.

A file beside the plugin goes before an installed module of the same name, as for a script that is run.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from orchestrator.plugins.error import PluginError
from orchestrator.workload.plugin_part import PluginSource
from orchestrator.workload.source_digest import code_digest, source_digest

__all__ = ["MAX_BYTES", "OWN_PACKAGES", "local_name", "read_source"]

OWN_PACKAGES = ("orchestrator", "reports", "trainer")
"""Never a file beside a plugin."""

MAX_BYTES = 2_000_000
"""Of the text of a plugin and of what it imports from its folder; it is sent with every trial."""


def read_source(name: str, folder: Path) -> PluginSource:
    """The plugin `name`: a file, relative to `folder`, or an installed module (`my_package.samplers`).

    Raises PluginError when there is none, or when it cannot be read or parsed.
    """
    if name.endswith(".py") or "/" in name:
        path = (folder / Path(name).expanduser()).resolve()
        if not path.is_file():
            raise PluginError(f"no such file {path}; give a path relative to this file, or an installed module")
        return of_files(path)
    return of_module(name)


def of_files(path: Path) -> PluginSource:
    """The plugin in the file `path`."""
    texts: dict[str, str] = {}
    waiting = [path.name]
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name] = read_text(path.parent / name)
            waiting += local_imports(path.parent, name, parsed(texts[name], path.parent / name))
    if sum(map(len, texts.values())) > MAX_BYTES:
        raise PluginError(
            f"{path}:1: imports more than {MAX_BYTES:,} characters of source from its folder; import less"
        )
    files = {"" if name == path.name else name: text for name, text in texts.items()}
    return PluginSource(digest=digest_of(files), path=str(path), files=tuple(texts.items()))


def of_module(name: str) -> PluginSource:
    """The plugin in an installed module; of its package, the modules that it imports count as well."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise PluginError(f"cannot import the module {name} ({error}); install it, or give a .py file") from error
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise PluginError(f"no module {name} in Python source is installed; install it, or give a .py file")
    root = Path(spec.origin).parents[name.count(".") + (Path(spec.origin).name == "__init__.py")]
    texts: dict[str, str] = {}
    waiting = [Path(spec.origin).relative_to(root).as_posix()]
    while waiting:
        file = waiting.pop()
        if file not in texts:
            texts[file] = read_text(root / file)
            imported = local_imports(root, file, parsed(texts[file], root / file))
            waiting += [item for item in imported if item.split("/")[0] == name.partition(".")[0]]
    return PluginSource(digest=digest_of(texts), path=name)


def digest_of(texts: dict[str, str]) -> str:
    """Digest of the syntax trees of files, by name."""
    return code_digest({name: source_digest(text) for name, text in texts.items()})


def read_text(path: Path) -> str:
    """The text of a file. Raises PluginError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise PluginError(f"{path}:1: cannot be read ({reason})") from error


def parsed(text: str, path: Path) -> ast.Module:
    """The syntax tree of a file. Raises PluginError with the line that does not parse."""
    try:
        return ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise PluginError(f"{path}:{line}: {what}; this is not Python source") from error


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
