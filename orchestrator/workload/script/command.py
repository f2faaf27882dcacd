"""The command of a script: its words, its placeholders, and the files among its words."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Formatter

__all__ = ["SEED", "WORKDIR", "files_of", "filled", "placeholders", "words"]

SEED, WORKDIR = "seed", "workdir"
"""Placeholders besides the settings: the seed of the trial, and its folder."""

PYTHON = ("python", "python3")
"""Words that stand for the interpreter that runs the sweep."""


def words(command: str) -> list[str]:
    """The words of the command, as a shell splits them; there is no shell. Raises ValueError for an open quote."""
    return shlex.split(command)


def placeholders(command: str) -> list[str]:
    """Names of the placeholders, in their order. Raises ValueError for braces that are none."""
    names = []
    for word in words(command):
        for _, name, spec, conversion in Formatter().parse(word):
            if name is None:
                continue
            if spec or conversion or not name.isidentifier():
                raise ValueError(f"{{{name}}} is not a placeholder such as {{lr}}")
            names.append(name)
    return names


def filled(command: str, values: Mapping[str, bool | int | float | str]) -> list[str]:
    """The words of the command with `values` in place of the placeholders; `true` and `false` in lower case."""
    texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}
    first, *others = [word.format_map(texts) for word in words(command)]
    return [sys.executable if first in PYTHON else first, *others]


def files_of(command: str, folder: Path) -> tuple[str, ...]:
    """The words without placeholders that name a file, relative to `folder` as written."""
    fixed = (word for word in words(command) if "{" not in word)
    return tuple(dict.fromkeys(word for word in fixed if is_file(folder / word)))


def is_file(path: Path) -> bool:
    """Whether `path` is a file; False for a word that cannot be one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
