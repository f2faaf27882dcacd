"""Finding: the answer of a check, which is ok or a problem with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.store.backends import local_folder, location
from orchestrator.tracking.uri import tracking_uri_of
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import built_in

__all__ = ["Check", "Finding", "Problem", "Question", "existing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a sweep would be started with."""

    run_dir: str = "runs"
    tracking_uri: str | None = None
    address: str | None = None
    """Ray cluster to join; None: a private one."""
    executor: str = "ray"
    out: Path = Path("reports/out")
    """Folder of the tables."""
    trials_at_a_time: int = 1
    """On this machine, as far as it is known before the start."""
    spec: Path | None = None
    """Search space; None: look at no sweep."""
    recipe: str | None = None
    data: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """As `--recipe`, `--data` and `--set` of the sweep."""
    workload: LoadedWorkload = field(default_factory=built_in)
    """The code that trains."""

    @property
    def store(self) -> str:
        """MLflow's store."""
        return tracking_uri_of(self.tracking_uri)

    @property
    def database(self) -> Path | None:
        """The file of the store, if it is one."""
        file = self.store.removeprefix("sqlite:///")
        return None if file == self.store or "?" in file else Path(file)

    @property
    def remote(self) -> bool:
        """Whether the run directory is in an object store."""
        return "://" in location(self.run_dir)

    @property
    def folder(self) -> Path:
        """The folder of this machine that holds the run directory, or will hold it."""
        return existing(local_folder(self.run_dir))


class Problem(Exception):  # noqa: N818 - it is an answer
    """What is wrong and what to do about it; `fatal` if no trial can run, so that a sweep does not start."""

    def __init__(self, text: str, remedy: str, *, fatal: bool = False) -> None:
        super().__init__(text)
        self.text, self.remedy, self.fatal = text, remedy, fatal


Check = Callable[[Question], str]
"""Returns what it found if that is ok. Raises Problem otherwise; any other exception is a problem of the check."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """The answer of one check."""

    name: str
    """Of the check."""
    ok: bool
    text: str
    """What was found, in one line."""
    remedy: str = ""
    """What to do; empty if it is ok."""

    @property
    def line(self) -> str:
        """`ok       locks: runs (ext4)`, or `problem  locks: none on runs; use ...`."""
        text = f"{self.text}; {self.remedy}" if self.remedy else self.text
        return f"{'ok' if self.ok else 'problem':<9}{self.name}: {text}"


def existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), path)
