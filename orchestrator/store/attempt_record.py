"""Records of one attempt at a trial: the points of its curves, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from orchestrator.store.keys import require_folder_name
from orchestrator.store.typed_values import build

__all__ = ["LATEST_SECONDS", "AttemptRecord", "ErrorRecord", "Point", "State"]

LATEST_SECONDS = 253_402_300_800.0
"""The year 10000, in seconds since the epoch."""


class State(StrEnum):
    """How an attempt ended. Only `done` is a result; `orchestrator.running.failures` handles the others."""

    DONE = "done"
    OUT_OF_MEMORY = "out_of_memory"
    """The memory of its device, or of its share of it, was too small."""
    LOST = "lost"
    """Its process or node died."""
    DIVERGED = "diverged"
    """The loss became NaN or infinite."""
    TIMED_OUT = "timed_out"
    """It took longer than `budget.trial_hours`."""
    USER_ERROR = "user_error"
    """The trial raised an exception; `error.kind` is its class."""
    DATA_ERROR = "data_error"
    """The data could not be read."""
    STOPPED = "stopped"
    """A scheduler stopped it early; not a result."""
    CANCELLED = "cancelled"
    """The user, a budget that was used up, or too many failures stopped it."""
    DAMAGED = "damaged"
    """Its record is not what was written, so how it ended is unknown. Found when reading; no record says so."""

    @property
    def words(self) -> str:
        """As messages show it: `out of memory`."""
        return self.value.replace("_", " ")

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        """Records of version 0.1 call a user error `failed`."""
        return cls.USER_ERROR if value == "failed" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorRecord:
    """Why an attempt failed."""

    kind: str
    """Class name of the exception, for example `DataError`."""
    message: str
    """One line."""
    traceback: str = ""
    signature: str = ""
    """The same for failures at the same place in the code (`orchestrator.running.failures.sign`)."""

    @property
    def summary(self) -> str:
        """`DataError: what went wrong`."""
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRecord:
    """How one attempt at a trial ended; never changed."""

    trial_id: str
    attempt: int
    """1 for the first."""
    state: State
    started_at: float
    """Seconds since the epoch."""
    ended_at: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Final scalars: `final/miou`, `final/pixel_accuracy`, `final/iou/<class>`, `cost/...`, `contrast/...`."""
    error: ErrorRecord | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """`commit`, `dirty`, `diff`, `host`, `device`, `decoder`, `torch`, `python`, how its `loader` got pixels to the
    device, the digest of its `data`, and `code`: that of the trainer's code (`trainer.code_digest`), or several of a
    trial that was resumed with other code."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """`cpus` and `gpus` that it used."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files that the attempt wrote for the reports, by name in the trial's folder."""

    @property
    def code(self) -> str:
        """Digest of the trainer's code that ran; empty in records of version 0.1."""
        return self.environment.get("code", "")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`. Raises ValueError for a value of a wrong type, or one that cannot be right."""
        record = build(cls, values)
        require_folder_name(record.trial_id)
        for name in ("started_at", "ended_at"):
            if not 0 <= getattr(record, name) < LATEST_SECONDS:
                raise ValueError(f"{name}: {getattr(record, name)} is not a time")
        return record

    @classmethod
    def damaged(cls, trial_id: str, attempt: int, reason: str) -> Self:
        """What stands for a record that cannot be used; `reason` is one line that names the file."""
        error = ErrorRecord(kind="DamagedRecord", message=reason)
        return cls(trial_id=trial_id, attempt=attempt, state=State.DAMAGED, started_at=0.0, ended_at=0.0, error=error)


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One point of a trial's curves."""

    step: int
    metrics: Mapping[str, float]
    """Grouped names: `train/loss`, `val/miou`, `contrast/purity`."""
    time: float = 0.0
    """Seconds since the epoch."""
    attempt: int = 1
