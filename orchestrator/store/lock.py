"""The lock of a run directory: one driver at a time, and a dead one holds nothing.

On a disk the system's file lock, which ends with its process. In an object store a lease (`orchestrator.store.lease`).
On a mount that machines share both, since some of those keep file locks to themselves.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from orchestrator.errors import StoreError
from orchestrator.store.backends import Files, LocalFiles
from orchestrator.store.lease import Lease, Patience, held_message
from orchestrator.store.lock_owner import Owner

__all__ = ["hold"]

LOCK_FILE = "driver.lock"

SHARED_MOUNTS = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs"),
    *("fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs"),
    *("pvfs2", "smb3", "smbfs", "virtiofs", "wekafs"),
}
"""Types of file systems that several machines may have mounted, as /proc/self/mounts names them."""

UNSUPPORTED = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

HELD: set[TextIO] = set()
"""Files of held locks. A forked child (a data loader) would keep a dead driver's lock alive: it closes them."""


@contextmanager
def hold(files: Files, patience: Patience | None = None) -> Iterator[Lease | None]:
    """Hold the run directory; gives the lease to check before each write, where there is one.

    Raises StoreError when another driver is alive, naming its process and host, or when nothing can be written.
    """
    with ExitStack() as releasing:
        lease: Lease | None = Lease(files, patience or Patience())
        if isinstance(files, LocalFiles):
            locked = releasing.enter_context(file_lock(files))
            if locked and file_system(files.root) not in SHARED_MOUNTS:
                lease = None
        if lease is not None:
            lease.take()
            releasing.callback(lease.release)
        yield lease


@contextmanager
def file_lock(files: LocalFiles) -> Iterator[bool]:
    """Hold the system's lock on `driver.lock`; gives False where the file system has none."""
    path = Path(files.path(LOCK_FILE))
    with files.writing(str(path)):
        handle = path.open("a+", encoding="utf-8")
    with handle:
        HELD.add(handle)
        try:
            locked = lock_now(handle.fileno())
            if locked is None:
                handle.seek(0)
                raise StoreError(held_message(files.name, Owner.from_text(handle.read())))
            handle.seek(0)
            handle.truncate()
            handle.write(Owner.here().to_text() + "\n")
            handle.flush()
            yield locked
        finally:
            HELD.discard(handle)


def lock_now(descriptor: int) -> bool | None:
    """True: locked; None: somebody else has it; False: this file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return False
    return True


def close_inherited() -> None:
    """In a forked child: let go of the parent's locks."""
    for handle in HELD:
        handle.close()
    HELD.clear()


os.register_at_fork(after_in_child=close_inherited)


def file_system(folder: str, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Type of the file system that holds `folder`, such as `ext4`; empty where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found, kind = "", ""
    target = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 - the slash at its end matters
    for line in lines:
        _, point, its_kind = line.split(" ")[:3]
        point = point.replace("\\040", " ").rstrip("/") + "/"
        if target.startswith(point) and len(point) >= len(found):
            found, kind = point, its_kind
    return kind
