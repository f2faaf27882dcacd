"""Imports a plugin, from the source text that travels with a trial.

The modules of a plugin are submodules of a package of their own, named after its digest. So a process can hold two
versions of a plugin, and a file beside it hides no installed module from the rest of the program.
"""

from __future__ import annotations

import ast
import importlib
import linecache
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from orchestrator.machine.one_line import described
from orchestrator.plugins.error import PluginError
from orchestrator.plugins.source import read_source
from orchestrator.workload.plugin_part import PluginSource
from orchestrator.workload.source_digest import short

__all__ = ["PACKAGE", "import_module", "place_in_plugin"]

PACKAGE = "contrast_plugin_"
"""Start of the names of the packages that plugins are loaded as; a digest follows."""


def package_of(source: PluginSource) -> str:
    """The name of the package that a plugin is loaded as; equal code in two folders is loaded twice."""
    return f"{PACKAGE}{source.digest}_{short(source.path)}"


def import_module(source: PluginSource) -> ModuleType:
    """Import the module of a plugin. Raises PluginError."""
    if not source.files:
        here = read_source(source.path, Path())
        if here.digest != source.digest:
            raise PluginError(f"{source.path}: another version is installed here ({here.digest}, not {source.digest})")
        name = source.path
    else:
        package = package_of(source)
        if not any(isinstance(item, PluginFinder) and item.package == package for item in sys.meta_path):
            sys.meta_path.insert(0, PluginFinder(source))
        name = f"{package}.{Path(source.path).stem.replace('.', '_')}"
    try:
        return importlib.import_module(name)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        place = place_in_plugin(error) or f"{source.path}:1"
        raise PluginError(f"{place}: {described(error)}; the plugin cannot be imported") from error


class PluginFinder(MetaPathFinder, Loader):
    """Imports the modules of one plugin from their text."""

    def __init__(self, source: PluginSource) -> None:
        self.package = package_of(source)
        self.folder = Path(source.path).parent
        main = Path(source.path).name
        self.files: dict[str, tuple[str, str]] = {}
        """File and text by the name of the module below the package."""
        for name, text in source.files:
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            self.files[module.replace(".", "_") if name == main else module] = (name, text)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module `fullname`, if it is the package of this plugin or one of its modules."""
        del path, target
        if fullname == self.package:
            return ModuleSpec(fullname, self, is_package=True)
        if not fullname.startswith(f"{self.package}."):
            return None
        name = fullname.removeprefix(f"{self.package}.")
        is_folder = any(other.startswith(f"{name}.") for other in self.files)
        if name not in self.files and not is_folder:
            return None
        file = self.files.get(name, ("", ""))[0]
        return ModuleSpec(fullname, self, is_package=is_folder or file.endswith("__init__.py"))

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let Python make the module."""
        del spec
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the text of the module, under the name of the file that it came from."""
        file, text = self.files.get(module.__name__.removeprefix(f"{self.package}."), ("", ""))
        if not file:
            return
        path = str(self.folder / file)
        module.__file__ = path
        # what a traceback shows is what ran, whatever is in the file by now, or on this machine
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
        tree = LocalImports({name.partition(".")[0] for name in self.files}, self.package).visit(ast.parse(text, path))
        exec(compile(ast.fix_missing_locations(tree), path, "exec"), module.__dict__)  # noqa: S102 - the user's plugin


class LocalImports(ast.NodeTransformer):
    """Makes `import geometry` import the file beside the plugin, wherever in the plugin it stands."""

    def __init__(self, local: set[str], package: str) -> None:
        self.local = local
        self.package = package

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """`from geometry import distance`."""
        if node.level == 0 and node.module is not None and node.module.partition(".")[0] in self.local:
            node.module = f"{self.package}.{node.module}"
        return node

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        """`import geometry`, and `import geometry.distance as d`; each name is a statement of its own."""
        found: list[ast.stmt] = []
        for alias in node.names:
            head, _, below = alias.name.partition(".")
            if head not in self.local:
                found.append(ast.copy_location(ast.Import(names=[alias]), node))
                continue
            parent, _, last = f"{self.package}.{alias.name}".rpartition(".")
            bound = alias.asname or (last if not below else None)
            if bound is not None:
                names = [ast.alias(name=last, asname=bound)]
                found.append(ast.copy_location(ast.ImportFrom(module=parent, names=names, level=0), node))
            else:  # `import geometry.distance` imports the submodule and binds the package
                inner = [ast.alias(name=last, asname=f"_{last}")]
                found.append(ast.copy_location(ast.ImportFrom(module=parent, names=inner, level=0), node))
                outer = [ast.alias(name=head)]
                found.append(ast.copy_location(ast.ImportFrom(module=self.package, names=outer, level=0), node))
        return found


def place_in_plugin(error: BaseException) -> str:
    """`/home/me/my_sampler.py:31`: the last line of a plugin that an exception, or its cause, passed through.

    Empty if it passed through none. An exception of another process has it as its attribute `place_in_plugin`.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if known := getattr(current, "place_in_plugin", ""):
            return str(known)
        for frame, line in reversed(list(traceback.walk_tb(current.__traceback__))):
            if str(frame.f_globals.get("__name__", "")).startswith(PACKAGE):
                return f"{frame.f_code.co_filename}:{line}"
        current = current.__cause__ or current.__context__
    return ""
