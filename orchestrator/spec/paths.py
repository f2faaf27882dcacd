"""File paths that users write, and what to tell about a path that is not a file."""

from __future__ import annotations

import difflib
from pathlib import Path

__all__ = ["expanded", "is_encodable", "is_file", "missing_file"]


def is_file(path: Path) -> bool:
    """Whether `path` is a file; False for a name that the operating system refuses."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def expanded(path: str) -> Path:
    """`path` with `~` replaced by the home directory, if that user exists."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_encodable(text: str) -> bool:
    """Whether `text` has neither a null character nor a lone surrogate: no path and no file can hold those."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def missing_file(path: Path) -> str:
    """Why `path` is not a file, with similar names in its directory."""
    try:
        if path.is_dir():
            return "is a directory; name a .yaml file in it"
        if not path.parent.is_dir():
            return f"no such file; the directory {str(path.parent)!r} does not exist"
        names = sorted(item.name for item in path.parent.glob("*.yaml"))
    except OSError as error:
        return f"no such file ({error.strerror}); correct the path"
    similar = difflib.get_close_matches(path.name, names, n=3) or difflib.get_close_matches(f"{path.name}.yaml", names)
    if similar:
        return f"no such file; did you mean {' or '.join(map(repr, similar))}?"
    return f"no such file; available: {', '.join(names)}" if names else "no such file; its directory has no .yaml file"
