"""TrialFiles: what the mirror takes from the record store about a single trial."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.store.backends import LocalFiles, open_files
from orchestrator.store.checkpoint_sync import fetch_pictures
from orchestrator.store.records import trial_key
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.uri import without_password

__all__ = ["CHECKPOINTS", "TrialFiles"]

CHECKPOINTS = {"best": "best.pt", "last": "last.pt"}


class TrialFiles:
    """Reads trials of one run directory. Every method raises StoreError."""

    def __init__(self, run_dir: Path | str) -> None:
        self.run_dir = run_dir
        self.files = open_files(run_dir)
        self.facts = lru_cache(maxsize=64)(self.read_facts)

    def read_facts(self, trial_id: str) -> Mapping[str, Any]:
        """Content of the trial's trial.json; empty for one never started."""
        return RunDirectory(self.run_dir).trial_facts(trial_id)

    def config(self, trial_id: str) -> Mapping[str, Any]:
        """The canonical config behind the trial's id, by dotted key."""
        config: Mapping[str, Any] = self.facts(trial_id).get("config", {})
        return config

    def data_digest(self, trial_id: str) -> str:
        """Digest of the data set it is trained on; empty where that was not kept."""
        return str(self.facts(trial_id).get("data", ""))

    def started_at(self, trial_id: str) -> float | None:
        """When its first attempt began, seconds since the epoch."""
        first = next(iter(RunDirectory(self.run_dir).points(trial_id)), None)
        return None if first is None else first.time

    def pictures(self, trial_id: str) -> list[Path]:
        """Its pictures, on this machine."""
        return fetch_pictures(RunDirectory(self.run_dir), trial_id)

    def checkpoints(self, trial_id: str) -> dict[str, str]:
        """`checkpoint.best` and `checkpoint.last`, as far as they are there: their addresses."""
        names = set(self.files.names(trial_key(trial_id)))
        return {
            f"checkpoint.{kind}": self.address(trial_id, name) for kind, name in CHECKPOINTS.items() if name in names
        }

    def address(self, trial_id: str, name: str) -> str:
        """URI of a file of the trial, without a password."""
        if isinstance(self.files, LocalFiles):
            return (RunDirectory(self.run_dir).trial_folder(trial_id) / name).resolve().as_uri()
        return f"{without_password(self.files.name).rstrip('/')}/{trial_key(trial_id, name)}"
