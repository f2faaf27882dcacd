"""What some file systems lack (CIFS, FUSE, NFS), and flushing as far as they can. Imports no torch."""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["NO_FOLDER_FLUSH", "NO_LOCKS", "flush", "flush_folder"]

NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems without locks answer."""

NO_FOLDER_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EISDIR, errno.EBADF, errno.EACCES}
"""What file systems answer that cannot open or flush a folder."""


def flush(path: Path | str) -> None:
    """Flush a file or a folder to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path | str) -> None:
    """Flush the names in a folder to the disk. Raises OSError.

    Some file systems cannot flush a folder. There a power failure may undo the last renames; a crash of the process may
    not.
    """
    try:
        flush(path)
    except OSError as error:
        if error.errno not in NO_FOLDER_FLUSH:
            raise
