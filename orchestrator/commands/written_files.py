"""where_written: one line that says where the reports of a sweep are."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import commonpath
from pathlib import Path

from rich.text import Text

__all__ = ["where_written"]

PAGE = "html"
FEW = 3
"""As many files are named each, if there is no page."""


def where_written(files: Mapping[str, Path], *, brief: bool) -> Text:
    """`page: reports/out/ablation_memory/table.html`, a link where the terminal knows links.

    `files`: at least one, by style. Unless it is to be `brief`, the folder with the other files follows.
    """
    paths = list(files.values())
    folder = Path(commonpath([path.parent for path in paths]))
    if PAGE not in files:
        names = f" ({', '.join(path.name for path in paths)})" if 1 < len(paths) <= FEW else ""
        return Text.assemble("tables: ", linked(paths[0] if len(paths) == 1 else folder), names)
    line = Text.assemble("page: ", linked(files[PAGE]))
    return line if brief or len(paths) == 1 else line.append(f"; all files: {folder}")


def linked(path: Path) -> Text:
    """The path, which a terminal opens."""
    return Text(str(path), style=f"link {path.absolute().as_uri()}")
