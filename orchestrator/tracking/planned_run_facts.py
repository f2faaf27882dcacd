"""PlannedRunFacts: what MLflow is told of a row and seed besides its curves: tags, parameters, data set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from orchestrator.store.keys import WORK, trial_key
from orchestrator.store.record_files import steps_of
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import PlannedRun, SweepRecord
from orchestrator.tracking.varied_settings import VariedSettings, as_text

__all__ = ["PARENT", "PlannedRunFacts"]

PARENT, SOURCE = "mlflow.parentRunId", "mlflow.source.name"


class PlannedRunFacts:
    """Reads them from the run directory. Every method raises StoreError."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory
        self.of_trial = lru_cache(maxsize=64)(directory.trial_facts)
        self.sweep: SweepRecord
        self.varied: VariedSettings

    def plan(self, sweep: SweepRecord) -> None:
        """Take over the plan, or a longer one."""
        self.sweep = sweep
        self.varied = VariedSettings(sweep)

    def config_of(self, trial_id: str) -> Mapping[str, Any]:
        """The canonical configuration of a trial."""
        found: Mapping[str, Any] = self.of_trial(trial_id).get("config", {})
        return found

    def tags(self, planned: PlannedRun, parent: str) -> dict[str, str]:
        """The tags that are known before training; `parent` is the id of the sweep's run."""
        return {
            PARENT: parent,
            SOURCE: "orchestrator.sweep",
            "role": "trial",
            "sweep": self.sweep.name,
            "row": planned.row,
            "seed": str(planned.seed),
            "trial_id": planned.trial_id,
            **self.schedule_tags(planned),
            "data_digest": self.of_trial(planned.trial_id).get("data", ""),
            **{f"factor.{name}": as_text(value) for name, value in self.varied.factors.get(planned.row, {}).items()},
        }

    def schedule_tags(self, planned: PlannedRun) -> dict[str, str]:
        """What tells runs of a row in several sweeps apart: recipe, data set and number of steps, where known."""
        recipes = {item.name: item.recipe for item in self.sweep.data_sets}
        steps = steps_of(self.of_trial(planned.trial_id))
        tags = {
            "recipe": recipes.get(planned.data, self.sweep.recipe),
            "data_set": planned.data or self.data_name(planned.trial_id),
            "steps": str(steps) if steps else "",
        }
        return {key: text for key, text in tags.items() if text}

    def checkpoint_tags(self, trial_id: str) -> dict[str, str]:
        """`checkpoint.best` and `checkpoint.last`, or `checkpoint.folder`: addresses of what exists."""
        names = self.directory.files.names(trial_key(trial_id))
        files = {"checkpoint.best": "best.pt", "checkpoint.last": "last.pt", "checkpoint.folder": WORK}
        return {tag: self.directory.uri(trial_key(trial_id, name)) for tag, name in files.items() if name in names}

    def parameters(self, planned: PlannedRun) -> dict[str, str]:
        """What the row sets."""
        return self.varied.parameters(planned, self.config_of(planned.trial_id))

    def data_set(self, trial_id: str) -> tuple[str, str, Mapping[str, Any]] | None:
        """Name, digest and settings of the data set; None without one."""
        digest = self.of_trial(trial_id).get("data", "")
        if not digest:
            return None
        config = self.config_of(trial_id)
        return self.data_name(trial_id), digest, {key: config[key] for key in config if key.startswith("data.")}

    def data_name(self, trial_id: str) -> str:
        """The name of the data set; that of a workload that names none is `inputs`."""
        digest = self.of_trial(trial_id).get("data", "")
        titles = (data.title for data in self.sweep.data if data.digest == digest)
        return str(self.config_of(trial_id).get("data.name") or next(titles, "inputs"))
