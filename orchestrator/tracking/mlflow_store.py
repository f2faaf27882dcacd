"""Server: an MLflow tracking store.

Long values, unusual names and large batches, which MLflow refuses, are adapted here (`mlflow_limits`). Every failure is
a TrackingError of one line without secrets, with its remedy where `remedies` knows one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from orchestrator.errors import OutageError, SweepError, TrackingError
from orchestrator.machine.own_folder import temporary_folder
from orchestrator.redaction import without_password
from orchestrator.store.bounded_file import read_file
from orchestrator.tracking.mlflow_database import create_database, use_write_ahead_log
from orchestrator.tracking.mlflow_errors import explained
from orchestrator.tracking.mlflow_limits import (
    LONGEST_NAME,
    LONGEST_NOTE,
    LONGEST_VALUE,
    fit_name,
    fit_value,
    in_batches,
    read_name,
)
from orchestrator.tracking.quiet_mlflow import (
    MLFLOW_DATASET_CONTEXT,
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    MlflowClient,
    MlflowException,
    Param,
    Run,
    RunTag,
)
from orchestrator.tracking.trial_run import Reading

__all__ = ["EXPERIMENT", "FULL_TEXT", "RunFacts", "Server", "milliseconds"]

logger = logging.getLogger(__name__)

EXPERIMENT = "contrast-sweep"
MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}
"""Marks an experiment about training, not language models. MLflow 3.17's pages look at their address too (`ui`)."""
FULL_TEXT = "full_text"
"""Artifact folder with the full text of what was cut."""
MAX_METRICS, MAX_PARAMS, MAX_DIGEST = 1000, 100, 36


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """A run as MLflow lists it."""

    run_id: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Latest value by MLflow's metric name."""
    started_at: float = 0.0
    """Seconds since the epoch."""
    ended_at: float = 0.0


class Server:
    """The tracking store at `uri` and our experiment in it; used from one thread.

    Creates a missing SQLite database first: two processes that create it at the same time break it. Raises AccessError
    when the store refuses access, OutageError when it cannot be reached, TrackingError for what it refuses.
    """

    def __init__(self, uri: str, *, create: bool = True) -> None:
        """Unless `create`, raises TrackingError for a store without our experiment."""
        self.uri = uri
        self.name = without_password(uri)
        """Name for messages."""
        self.closed = False
        """Another thread may set it: no request is made any more."""
        self.experiment_tags: dict[str, str] = {}
        """Tags of the experiment, as they were when it was opened, and those set since."""
        with self.in_one_line():
            create_database(uri)
            self.client = MlflowClient(tracking_uri=uri)
            self.experiment = self.open_experiment(create)
            use_write_ahead_log(uri)

    @contextmanager
    def in_one_line(self) -> Iterator[None]:
        """Turn what MLflow and its libraries raise into a TrackingError."""
        if self.closed:
            raise OutageError(f"{self.name}: no further request")
        try:
            yield
        except SweepError:  # has its message
            raise
        except Exception as error:  # of MLflow, requests, SQLAlchemy, the file system
            raise explained(self.uri, error) from error

    def open_experiment(self, create: bool) -> str:
        """Id of the experiment that all sweeps share; created if necessary and allowed."""
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            number = str(experiment.experiment_id)
            if not number:
                raise MlflowException("no experiment id in the answer")
            if experiment.lifecycle_stage != "active":
                raise MlflowException(f"The experiment {number} must be in the 'active' state")
            self.experiment_tags.update(experiment.tags)
            return number
        if not create:
            raise TrackingError(
                f"{self.name}: no experiment {EXPERIMENT!r}; run a sweep, or `orchestrator sync`, first"
            )
        return str(self.client.create_experiment(EXPERIMENT, tags=MODEL_TRAINING))

    # -- reading

    def runs(self, condition: str) -> Iterator[RunFacts]:
        """All runs that match the filter `condition`, newest first; one request per thousand."""
        token: str | None = None
        while True:
            with self.in_one_line():
                page = self.client.search_runs(
                    [self.experiment], condition, max_results=1000, order_by=["start_time DESC"], page_token=token
                )
            yield from map(facts_of, page)
            token = page.token
            if not token:
                return

    def run(self, run_id: str) -> RunFacts:
        """One run."""
        with self.in_one_line():
            return facts_of(self.client.get_run(run_id))

    def history(self, run_id: str, key: str) -> list[Reading]:
        """All readings of a metric, given by MLflow's name, in no particular order."""
        with self.in_one_line():
            found = self.client.get_metric_history(run_id, key)
        return [Reading(key, float(item.value), int(item.step), item.timestamp / 1000) for item in found]

    def read_text(self, run_id: str, name: str) -> str:
        """Content of an artifact. Raises ValueError when it is not text."""
        with temporary_folder("artifact") as folder, self.in_one_line():
            return read_file(self.client.download_artifacts(run_id, name, str(folder))).decode("utf-8")

    def artifacts(self, run_id: str, folder: str | None = None) -> list[str]:
        """Paths of a run's artifacts directly in `folder`."""
        with self.in_one_line():
            return [str(item.path) for item in self.client.list_artifacts(run_id, folder)]

    # -- writing

    def create(self, name: str, tags: Mapping[str, str], started_at: float) -> str:
        """Create a run with status RUNNING; returns its id."""
        tags = {key: text for key, text in tags.items() if text}
        fitted = {fit_name(key): fit_value(text, LONGEST_NOTE) for key, text in tags.items()}
        with self.in_one_line():
            run = self.client.create_run(
                self.experiment,
                start_time=milliseconds(started_at),
                tags=fitted,
                run_name=fit_value(name, LONGEST_NAME),
            )
        run_id = str(run.info.run_id)
        self.keep_cut(run_id, tags)
        return run_id

    def log(
        self,
        run_id: str,
        readings: Sequence[Reading] = (),
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """Log metrics, tags and parameters in as few requests as MLflow's limits allow; safe to repeat."""
        metrics = [Metric(fit_name(item.key), item.value, milliseconds(item.time), item.step) for item in readings]
        labels = [RunTag(fit_name(key), fit_value(text, LONGEST_NOTE)) for key, text in (tags or {}).items()]
        entries = [Param(fit_name(key), fit_value(text)) for key, text in (params or {}).items()]
        batches = zip_longest(
            in_batches(metrics, MAX_METRICS - 2 * MAX_PARAMS, lambda item: len(item.key)),
            in_batches(labels, MAX_PARAMS, lambda item: len(item.key) + len(item.value)),
            in_batches(entries, MAX_PARAMS, lambda item: len(item.key) + len(item.value)),
            fillvalue=(),
        )
        with self.in_one_line():
            for some_metrics, some_tags, some_params in batches:
                self.client.log_batch(run_id, metrics=some_metrics, params=some_params, tags=some_tags)
        self.keep_cut(run_id, {**dict.fromkeys((item.key for item in readings), ""), **(tags or {}), **(params or {})})

    def keep_cut(self, run_id: str, texts: Mapping[str, str]) -> None:
        """Write the full text of every name and value that was cut as an artifact."""
        for name, value in texts.items():
            if len(value) > LONGEST_VALUE or is_cut(name):
                whole = {"as": fit_name(name), "name": name, "value": value}
                file = f"{FULL_TEXT}/{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"
                self.write_text(run_id, file, json.dumps(whole, indent=1, ensure_ascii=False))

    def tag_experiment(self, key: str, value: str) -> bool:
        """Set a tag of the experiment, unless it has this value; returns whether it has it now.

        A store that does not know such tags, or a user without the right, is no error: nothing else depends on them.
        """
        if self.experiment_tags.get(key) == value:
            return True
        try:
            with self.in_one_line():
                self.client.set_experiment_tag(self.experiment, key, value)
        except TrackingError as error:
            logger.debug("%s", error)
            return False
        self.experiment_tags[key] = value
        return True

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        with self.in_one_line():
            self.client.update_run(run_id, name=fit_value(name, LONGEST_NAME))

    def remove_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        with self.in_one_line():
            self.client.delete_tag(run_id, key)

    def reopen(self, run_id: str) -> None:
        """Set a run's status back to RUNNING."""
        with self.in_one_line():
            self.client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str, ended_at: float | None = None) -> None:
        """Set a run's final status and, if given, when it ended (seconds since the epoch)."""
        with self.in_one_line():
            stamp = None if ended_at is None else milliseconds(ended_at)
            self.client.set_terminated(run_id, status, end_time=stamp)

    def write_text(self, run_id: str, name: str, text: str) -> None:
        """Write a text artifact."""
        with self.in_one_line():
            self.client.log_text(run_id, text, name)

    def write_file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Upload a local file as an artifact."""
        with self.in_one_line():
            self.client.log_artifact(run_id, str(path), folder)

    def write_input(self, run_id: str, name: str, digest: str, profile: Mapping[str, Any]) -> None:
        """Log the data set that a run trains on."""
        source = json.dumps({"name": name, "digest": digest})
        dataset = Dataset(name, digest[:MAX_DIGEST], "local", source, profile=json.dumps(profile))
        with self.in_one_line():
            self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])])


def facts_of(run: Run) -> RunFacts:
    """A run as plain values."""
    info, data = run.info, run.data
    return RunFacts(
        run_id=info.run_id,
        status=info.status,
        tags=data.tags,
        params=data.params,
        metrics=data.metrics,
        started_at=(info.start_time or 0) / 1000,
        ended_at=(info.end_time or 0) / 1000,
    )


def is_cut(name: str) -> bool:
    """Whether the name is too long for MLflow."""
    return read_name(fit_name(name)) is None


def milliseconds(seconds: float) -> int:
    """Seconds in MLflow's unit."""
    return round(seconds * 1000)
