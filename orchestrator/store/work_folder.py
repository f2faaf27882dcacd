"""WorkFolder: where a trial of a workload of the user's own works, and its copy in an object store.

    <run_dir>/trials/<trial_id>/work/     everything in it is the trainer's; `.code` says which code it is of

Each file is a checkpoint, or something beside one: all of them travel. The built-in trainer works in the folder of the
trial itself and has rules of its own (`orchestrator.store.checkpoint_sync`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.machine.atomic_file import PARTIAL, replace_file
from orchestrator.store.backends.base import claim_scratch
from orchestrator.store.backends.local import stamp
from orchestrator.store.backends.object_store import ObjectFiles
from orchestrator.store.checkpoint_sync import UPLOADED, read_uploaded, write_uploaded
from orchestrator.store.keys import WORK, trial_key
from orchestrator.store.run_directory import RunDirectory
from orchestrator.workload.source_digest import codes_in, joined

__all__ = ["WorkFolder"]

CODE = ".code"
"""Digests of the code that the files in the folder are of, joined by `+`."""

LARGEST_SHARE = 0.1
"""Of the time of a trial that copying its files may take, but for the last copy."""


class WorkFolder:
    """The folder of one trial. With a run directory on a disk there is nothing to copy."""

    def __init__(
        self,
        directory: RunDirectory | None,
        trial_id: str,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`path` is on this machine; without a run directory it is the only copy."""
        files = None if directory is None else directory.files
        self.store = files if isinstance(files, ObjectFiles) else None
        self.trial_id = trial_id
        self.path = path
        self.clock = clock
        self.next_copy = clock()

    def open(self, code: str, accepted: Collection[str]) -> str:
        """Make the folder, and fetch what an earlier attempt has left; what is of code not `accepted` is removed.

        Returns the digests of all code that the files will be of, `code` among them. Raises StoreError.
        """
        self.fetch()
        before = self.code_before()
        if not {code, *accepted}.issuperset(before):
            self.remove()
            before = ()
        self.path.mkdir(parents=True, exist_ok=True)
        codes = joined((*before, code))
        replace_file(self.path / CODE, codes.encode(), durable=False)
        return codes

    def remove(self) -> None:
        """Remove all files, in the store too; the mark of their code goes last, in case this is interrupted."""
        if self.store is not None:
            names = self.store.sizes(trial_key(self.trial_id, WORK))
            for name in sorted(names, key=lambda name: name == CODE):
                self.store.delete(self.key(name))
        shutil.rmtree(self.path)

    def code_before(self) -> tuple[str, ...]:
        """Digests of the code that the files are of; none for files of before, of which it is not known."""
        try:
            return codes_in((self.path / CODE).read_text(encoding="utf-8"))
        except OSError:
            return ()

    def key(self, name: str) -> str:
        """Of a file in the store."""
        return trial_key(self.trial_id, f"{WORK}/{name}")

    def fetch(self) -> None:
        """Copy the files from the store, over older ones; remove those that another machine has removed.

        Raises StoreError.
        """
        if (store := self.store) is None:
            return
        claim_scratch(self.path)
        stored, uploaded = store.sizes(trial_key(self.trial_id, WORK)), read_uploaded(self.path)
        for name in uploaded.keys() - stored:
            (self.path / name).unlink(missing_ok=True)
        uploaded = {}
        for name in stored:
            if store.download(self.key(name), self.path / name):
                uploaded[name] = stamp(str(self.path / name))
        if stored:
            write_uploaded(self.path, uploaded)

    def upload(self, *, ended: bool = False) -> None:
        """Copy to the store what is new, the file that was written last after the others. Raises StoreError.

        Each object is written whole; files are not copied while their name ends with `.partial`. What is gone here is
        deleted there, after that. Unless the attempt has `ended`, copying takes a tenth of the time at most.
        """
        if self.store is None or (not ended and self.clock() < self.next_copy):
            return
        present, uploaded = self.present(), read_uploaded(self.path)
        if present == uploaded:
            return
        began = self.clock()
        for name, state in present.items():
            if uploaded.get(name) == state:
                continue
            try:
                self.store.upload(self.path / name, self.key(name))
            except StoreError:
                if (self.path / name).exists():
                    raise
                continue  # the trainer has just removed it
            uploaded[name] = state
            write_uploaded(self.path, uploaded)
        for name in uploaded.keys() - present.keys():
            self.store.delete(self.key(name))
            del uploaded[name]
            write_uploaded(self.path, uploaded)
        now = self.clock()
        self.next_copy = now + (now - began) * (1 / LARGEST_SHARE - 1)

    def present(self) -> dict[str, str]:
        """Name and state of each file that travels, oldest first."""
        found: list[tuple[int, str, str]] = []
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            if name == UPLOADED or name.endswith(PARTIAL) or not path.is_file():
                continue
            try:
                found.append((path.stat().st_mtime_ns, name, stamp(str(path))))
            except OSError:
                continue  # the trainer has just removed it
        return {name: state for _, name, state in sorted(found)}
