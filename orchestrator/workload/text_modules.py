"""Imports Python files of users from their text, which travels with the trials.

The modules are submodules of a package of their own. So a process can hold two versions of a file, and a file beside it
hides no installed module from the rest of the program.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["TextFinder", "run_text"]


class TextFinder(MetaPathFinder, Loader):
    """Imports the files of a user from their text, as modules of a package of their own."""

    def __init__(self, package: str, path: Path, files: Iterable[tuple[str, str]]) -> None:
        """`path` is that of the file that imports the others; `files` are names, relative to its folder, and texts."""
        self.package = package
        self.folder = path.parent
        self.files: dict[str, tuple[str, str]] = {}
        """File and text by the name of the module below the package."""
        for name, text in files:
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            self.files[module.replace(".", "_") if name == path.name else module] = (name, text)

    @property
    def local(self) -> set[str]:
        """The names that `import` finds in the package."""
        return {name.partition(".")[0] for name in self.files}

    def install(self) -> None:
        """Let Python find the package, once for each."""
        if not any(isinstance(item, TextFinder) and item.package == self.package for item in sys.meta_path):
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module `fullname`, if it is the package or one of its modules."""
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
        run_text(text, path, module, self.local, self.package)


def run_text(text: str, path: str, module: ModuleType, local: set[str], package: str) -> None:
    """Run the text of a file in `module`; imports of the names `local` are those of `package`."""
    # what a traceback shows is what ran, whatever is in the file by now, or on this machine
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    tree = LocalImports(local, package).visit(ast.parse(text, path))
    exec(compile(ast.fix_missing_locations(tree), path, "exec"), module.__dict__)  # noqa: S102 - the user's own code


class LocalImports(ast.NodeTransformer):
    """Makes `import geometry` import the file of the package, wherever it stands."""

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
