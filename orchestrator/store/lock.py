"""The lock of a run directory: one driver at a time, and a dead driver holds nothing.

On a disk it is a file lock, flock(2), which ends with its process; in an object store a lease
(`orchestrator.store.lease`); on a mount that several machines share both, because some mounts do not share file locks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.errors import StoreError
from orchestrator.machine.file_systems import NO_LOCKS
from orchestrator.store.atomic_file import open_no_link
from orchestrator.store.backends import Files, LocalFiles
from orchestrator.store.bounded_file import read_file
from orchestrator.store.lease import Lease, LeaseTimings, held_message
from orchestrator.store.lock_owner import Owner

__all__ = ["holder_of", "lock_run_directory"]

LOCK_FILE = "driver.lock"

SHARED_MOUNTS = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs"),
    *("fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs"),
    *("pvfs2", "smb3", "smbfs", "virtiofs", "wekafs"),
}
"""Types of file systems that several machines can mount, as /proc/self/mounts names them."""


@contextmanager
def lock_run_directory(files: Files, timings: LeaseTimings | None = None) -> Iterator[Lease | None]:
    """Lock the run directory; yields the lease to check before each write, where there is one.

    Raises StoreError when another driver is alive, with its process and host, or when nothing can be written.
    """
    with ExitStack() as releasing:
        lease: Lease | None = Lease(files, timings or LeaseTimings())
        if isinstance(files, LocalFiles):
            locked = releasing.enter_context(file_lock(files))
            if locked and file_system(files.root) not in SHARED_MOUNTS:
                lease = None
        if lease is not None:
            lease.acquire()
            releasing.callback(lease.release)
        yield lease


def holder_of(files: Files) -> str:
    """What distinguishes the driver that has locked the run directory last from all others; empty when unknown.

    Raises StoreError when nothing can be read.
    """
    if isinstance(files, LocalFiles):
        owner = Owner.from_text(files.read(LOCK_FILE) or b"")
    else:
        lease = Lease(files).newest()
        owner = None if lease is None else lease.owner
    return "" if owner is None else owner.nonce


@contextmanager
def file_lock(files: LocalFiles) -> Iterator[bool]:
    """Lock `driver.lock`, in which the owner is named; yields False where the file system has no locks.

    A forked child, such as a data loader, does not keep the lock of a dead driver: filelock closes its copy.
    """
    path = Path(files.path(LOCK_FILE))
    lock = FileLock(path, fallback_to_soft=False)
    with files.writing(str(path)):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise StoreError(held_message(files.name, Owner.from_text(read_file(path)))) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        with open(path, "w", encoding="utf-8", opener=open_no_link) as file:
            file.write(Owner.here().to_text() + "\n")
        yield lock.is_locked
    finally:
        lock.release()


def file_system(folder: str, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Type of the file system that holds `folder`, such as `ext4`; empty where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    nearest, kind = "", ""
    target = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118 - the slash at its end matters
    for line in lines:
        _, point, its_kind = line.split(" ")[:3]
        point = point.replace("\\040", " ").rstrip("/") + "/"
        if target.startswith(point) and len(point) >= len(nearest):
            nearest, kind = point, its_kind
    return kind
