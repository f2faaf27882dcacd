"""The digest of a ZIP archive in its own comment: torch's files are such archives, and stay readable by every program.

A comment `sha256:...` holds the SHA-256 of everything before the two bytes of its length. Archives of version 0.1 have
no comment. The checksums inside a ZIP archive do not cover its directory, and torch does not check them.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

__all__ = ["add_digest", "verify_archive"]

NAME = b"sha256:"
COMMENT_BYTES = len(NAME) + 64
END_OF_DIRECTORY = b"PK\x05\x06"
END_BYTES = 22
"""Of the record that ends an archive without a comment; its last two are the length of the comment."""
CHUNK_BYTES = 2**20


def add_digest(file: BinaryIO) -> None:
    """Add the comment to an archive that is open for reading and writing; returns once the disk has all of it.

    The digest is computed while the disk writes. Raises OSError.
    """
    file.flush()
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(digest_of, file, file.tell() - 2)
        os.fsync(file.fileno())
        comment = NAME + digest.result()
    file.write(len(comment).to_bytes(2, "little") + comment)
    file.flush()
    os.fsync(file.fileno())


def digest_of(file: BinaryIO, size: int) -> bytes:
    """SHA-256 of the first `size` bytes, hexadecimal; the file is at byte `size` afterwards."""
    file.seek(0)
    total, left = hashlib.sha256(), size
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        total.update(chunk)
        left -= len(chunk)
    return total.hexdigest().encode()


def verify_archive(file: BinaryIO) -> bool:
    """Whether an archive has a digest, which then matches; False without one.

    Raises ValueError, in a few words, for content that is neither, and OSError.
    """
    size = file.seek(0, os.SEEK_END)
    if size < END_BYTES + COMMENT_BYTES:
        raise ValueError("cut short" if size else "empty")
    file.seek(size - COMMENT_BYTES - 2)
    end = file.read()
    length, comment = end[:2], end[2:]
    if end[-END_BYTES:].startswith(END_OF_DIRECTORY):
        return False
    if not comment.startswith(NAME) or int.from_bytes(length, "little") != COMMENT_BYTES:
        raise ValueError("cut short, or its end is damaged")
    if comment[len(NAME) :] != digest_of(file, size - COMMENT_BYTES - 2):
        raise ValueError("its content does not match its digest")
    return True
