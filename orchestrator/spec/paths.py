"""Paths that users write, and what to say of one that is no file."""

from __future__ import annotations

import difflib
from pathlib import Path

__all__ = ["expanded", "is_file", "is_whole", "missing_file"]


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def expanded(path: str) -> Path:
    """`path` with `~` replaced by the home folder, if there is such a user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_whole(text: str) -> bool:
    """Whether a text has no null and no half of a character (a surrogate): neither can stand in a path or a file."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def missing_file(path: Path) -> str:
    """What is wrong with a path that is no file, with the close matches in its folder."""
    try:
        return missing_in_folder(path)
    except OSError as error:
        return f"no such file ({error.strerror}); correct the path"


def missing_in_folder(path: Path) -> str:
    """`missing_file` of a path that the system can look up."""
    if path.is_dir():
        return "a folder; name a .yaml file in it"
    if not path.parent.is_dir():
        return f"no such file; there is no folder {str(path.parent)!r} either"
    names = sorted(item.name for item in path.parent.glob("*.yaml"))
    close = difflib.get_close_matches(path.name, names, n=3) or difflib.get_close_matches(f"{path.name}.yaml", names)
    if close:
        return f"no such file; did you mean {' or '.join(map(repr, close))}?"
    return f"no such file; there are: {', '.join(names)}" if names else "no such file; its folder holds no .yaml file"
