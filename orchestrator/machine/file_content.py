"""SHA-256 of the bytes of a file, which need not fit in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["content_digest"]


def content_digest(path: Path) -> str:
    """64 hexadecimal digits. Raises OSError for a file that cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
