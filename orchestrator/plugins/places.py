"""Where in the files of a plugin something is written, for messages."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

__all__ = ["Places"]


class Places:
    """Where in the files of a plugin something is written, as `file:line`. Parses each file once."""

    def __init__(self, module: ModuleType, path: str) -> None:
        self.module = module
        self.path = getattr(module, "__file__", None) or path
        self.trees: dict[str, ast.AST] = {}
        """By name of the module."""

    def of(self, table: str = "", key: Any = None) -> str:
        """The line of a table, or of a key in it; line 1 if it is not written out."""
        line = 1
        for target, value, at in assignments(self.tree_of(self.module)):
            if target == table:
                line = at
                for item in value.keys if isinstance(value, ast.Dict) else ():
                    if isinstance(item, ast.Constant) and item.value == key:
                        line = item.lineno
        return f"{self.path}:{line}"

    def of_class(self, found: type, name: str = "") -> str:
        """The line of a class, or of a field in it."""
        module = sys.modules.get(found.__module__, self.module)
        path, line = getattr(module, "__file__", None) or self.path, 1
        for node in ast.walk(self.tree_of(module)):
            if isinstance(node, ast.ClassDef) and node.name == found.__name__:
                line = node.lineno
                for target, _, at in assignments(node):
                    if target == name:
                        line = at
        return f"{path}:{line}"

    def tree_of(self, module: ModuleType) -> ast.AST:
        """The syntax tree of a module; empty where its source is not to be had."""
        if module.__name__ not in self.trees:
            try:
                self.trees[module.__name__] = ast.parse(inspect.getsource(module))
            except (OSError, TypeError, SyntaxError):
                self.trees[module.__name__] = ast.Module(body=[], type_ignores=[])
        return self.trees[module.__name__]


def assignments(node: Any) -> Iterator[tuple[str, ast.expr | None, int]]:
    """Name, value and line of each assignment in the body of a module or a class."""
    for item in node.body:
        targets = (
            item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, item.value, item.lineno
