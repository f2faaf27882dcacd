"""Members: the files that an archive may hold, by their names. Whatever else somebody has put into one is refused."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from orchestrator.store.bounded_file import most_bytes

__all__ = ["CODE", "MANIFEST", "POINTS", "SUFFIX", "WEIGHTS", "is_known", "largest", "names_archive", "require_inside"]

SUFFIX = ".zip"
"""Of an archive, by which commands tell it from a search space."""
MANIFEST = "manifest.json"
POINTS = "points.jsonl"
"""Of a trial; those of an object store are joined."""
WEIGHTS = ("best.pt", "last.pt")
"""Checkpoints of the built-in trainer; in that of a finished trial are its weights, last and best."""
TRIAL = r"trials/[0-9a-f]{12}"
CODE = re.compile(r"[0-9a-f]{12}")
"""Digest of the code of a trainer."""
KNOWN = re.compile(
    rf"{re.escape(MANIFEST)}"
    r"|sweeps/[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*/(sweep\.json|plans/\d{3,}\.json)"
    rf"|{TRIAL}/(trial\.json|attempt_\d{{3,}}\.json|{re.escape(POINTS)}|images_\d{{3,}}\.npz|pictures/[^/\\\0]+\.png)"
    rf"|{TRIAL}/({'|'.join(map(re.escape, WEIGHTS))})"
    rf"|code/{CODE.pattern}\.json"
)
MOST_PICTURE_BYTES = 64_000_000
"""Of counts and pictures of a trial; those of 24 generated images take 0.2 MB."""
MOST_MANIFEST_BYTES = 256_000_000
"""It takes 150 bytes for each file."""


def names_archive(path: Path | str) -> bool:
    """Whether a path is that of an archive, not of a search space."""
    return Path(path).suffix == SUFFIX


def is_known(name: str) -> bool:
    """Whether this version puts a file of this name into an archive."""
    return KNOWN.fullmatch(name) is not None


def largest(name: str) -> int:
    """The most bytes that a file of this name can have."""
    if name == MANIFEST:
        return MOST_MANIFEST_BYTES
    return MOST_PICTURE_BYTES if name.endswith((".npz", ".png")) else most_bytes(name)


def require_inside(name: str) -> None:
    """Raise ValueError for a name that leads out of the folder in which somebody unpacks it."""
    if name.startswith("/") or re.match(r"[A-Za-z]:|\\", name):
        raise ValueError("an absolute path")
    if ".." in PurePosixPath(name.replace("\\", "/")).parts:
        raise ValueError("leads out of the archive")
