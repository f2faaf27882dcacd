"""ChildRun: what the mirror knows of the MLflow run of a row and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.tracking.trial_run import ENVIRONMENT, REUSED, STATUS, Reading

__all__ = ["CODE", "FAILURE", "MODEL", "REMEMBERED", "ChildRun"]

FAILURE = ("failure", "failure_kind", "failure_signature")
MODEL = "model"
"""Tag of a run with a logged model: the model's address."""
CODE = f"{ENVIRONMENT}code"
"""Tag of an ended run: digest of the trainer's code."""
REMEMBERED = ("attempt", "state", REUSED, MODEL, CODE, *FAILURE)
"""Tags of a child run that later decisions need."""


@dataclass(slots=True)
class ChildRun:
    """What is known of a child run."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    """Those of `REMEMBERED`."""
    described: bool = False
    """It has its parameters and its data set."""
    difference: float | None = None
    """To the baseline, as it holds it."""
    fresh: bool = False
    """Created by this object, so there is nothing in it to look up."""
    logged: set[tuple[str, int]] | None = None
    """Metric and step of each point it holds; None: unknown. Kept while the trial runs, as are the next two."""
    last: dict[str, Reading] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    """Bytes read so far of each file of the trial's curve."""

    @property
    def link(self) -> str:
        """Id of the run that holds the curves for it; empty for a run with curves of its own."""
        return self.tags.get(REUSED, "")

    def holds(self, record: AttemptRecord) -> bool:
        """Whether it is complete up to this record: the status is written last."""
        attempt = (self.tags.get("attempt"), self.tags.get("state"))
        return self.status == STATUS[record.state] and attempt == (str(record.attempt), record.state.value)
