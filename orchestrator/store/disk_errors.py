"""Errors of a disk, and the remedy of each: what no other option of a command line helps against."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["describe_disk_error", "disk_remedy"]

REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: "free space on {mount}, then run the same command again",
    errno.EDQUOT: "the disk quota on {mount} is used up; free space there, then run the same command again",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`), then run the same command again",
    errno.EIO: "the disk of {mount} fails; check it (`dmesg`), then run the same command again",
    errno.EROFS: "{mount} is mounted read-only; mount it writable, then run the same command again",
    errno.ESTALE: "{mount} was mounted anew; run the same command again",
}
"""By error number; `{mount}` stands for the mount point."""

NO_INODES = "delete files on {mount}, which has space but no inodes left, then run the same command again"


def disk_remedy(error: OSError, path: Path | str) -> str:
    """What to do about an error of writing `path`; empty for an error that is not the disk's."""
    remedy = REMEDIES.get(error.errno or 0, "")
    if not remedy:
        return ""
    mount = mount_point(path)
    if error.errno == errno.ENOSPC and not inodes_left(mount):
        remedy = NO_INODES
    return remedy.format(mount=mount)


def describe_disk_error(error: OSError) -> str:
    """An error of the system in one line: the file, what is wrong, and the remedy where the disk is at fault."""
    if error.filename is None or not (remedy := disk_remedy(error, os.fsdecode(error.filename))):
        return str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror}; {remedy}"


def mount_point(path: Path | str) -> Path:
    """The mount point of the file system that holds `path`, or its nearest folder that exists."""
    place = Path(path).resolve()
    while not os.path.ismount(place) and place != place.parent:
        place = place.parent
    return place


def inodes_left(mount: Path) -> bool:
    """Whether a new file can be made; True where the file system does not say."""
    try:
        found = os.statvfs(mount)
    except OSError:
        return True
    return found.f_files == 0 or found.f_favail > 0
