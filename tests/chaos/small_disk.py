"""SmallDisk: a file system in memory that can be filled, in bytes or in files, in place of the machine's own disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

__all__ = ["SmallDisk"]

BALLAST = ".ballast"


class SmallDisk:
    """A tmpfs at `folder`; where mounting is not permitted, a plain folder that cannot be filled."""

    def __init__(self, folder: Path, *, megabytes: int, files: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        options = f"size={megabytes}m,nr_inodes={files}"
        mount = ["mount", "-t", "tmpfs", "-o", options, "contrast-sweep-chaos", str(folder)]
        try:
            result = subprocess.run(mount, capture_output=True, text=True, check=False)
            self.refusal = result.stderr.strip()
        except OSError as error:
            self.refusal = str(error)
        self.mounted = not self.refusal

    def fill(self, left_bytes: int) -> None:
        """Leave `left_bytes`, rounded up to pages."""
        with (self.folder / BALLAST).open("ab") as file:
            for _ in range(100):
                disk = os.statvfs(self.folder)
                size = disk.f_bavail * disk.f_frsize - left_bytes
                with suppress(OSError):  # somebody else wrote in between
                    os.posix_fallocate(file.fileno(), 0, max(size, 1))
                    return

    def fill_with_files(self, left_files: int) -> None:
        """Leave `left_files` files that can be created."""
        (self.folder / f"{BALLAST}.d").mkdir()
        free = os.statvfs(self.folder).f_ffree
        with suppress(OSError):  # somebody else created one in between
            for number in range(free - left_files):
                (self.folder / f"{BALLAST}.d" / str(number)).touch()

    def relieve(self) -> None:
        """Make room again."""
        (self.folder / BALLAST).unlink(missing_ok=True)
        shutil.rmtree(self.folder / f"{BALLAST}.d", ignore_errors=True)

    def close(self) -> None:
        """Unmount it, also while somebody still has a file open; what it held, without checkpoints, stays beside it."""
        if self.mounted:
            copy = self.folder.with_name(f"{self.folder.name}-kept")
            shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("*.pt*", f"{BALLAST}*"))
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)
            self.mounted = False
