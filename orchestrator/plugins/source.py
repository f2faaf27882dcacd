"""The source code of a plugin: its file, the files beside it that it imports, and their digest. Imports no plugin.

A file beside the plugin goes before an installed module of the same name, as for a script that is run.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from orchestrator.plugins.error import PluginError
from orchestrator.workload.local_files import SourceError, local_imports, parsed, read_text, texts_of
from orchestrator.workload.plugin_part import PluginSource
from orchestrator.workload.source_digest import code_digest, source_digest

__all__ = ["read_source"]


def read_source(name: str, folder: Path) -> PluginSource:
    """The plugin `name`: a file, relative to `folder`, or an installed module (`my_package.samplers`).

    Raises PluginError when there is none, or when it cannot be read or parsed.
    """
    try:
        if not name.endswith(".py") and "/" not in name:
            return of_module(name)
        path = (folder / Path(name).expanduser()).resolve()
        if not path.is_file():
            raise PluginError(f"no such file {path}; give a path relative to this file, or an installed module")
        return of_files(path)
    except SourceError as error:
        raise PluginError(str(error)) from error


def of_files(path: Path) -> PluginSource:
    """The plugin in the file `path`."""
    texts = texts_of(path)
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
