"""RayTune: tasks on a Ray cluster; the only file that imports ray.

Ray Tune places the trials and moves their reports; which trials run is decided before it starts, and what is done is
decided by the record store (design.md, decision 1). So nothing of Tune's own state is kept: its experiment folder is
temporary, its per-trial loggers and its restore are off.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.execution.base import Listener, Task, Work
from orchestrator.records import AttemptRecord, ErrorRecord, Point, State
from orchestrator.worker import run_trial

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints no tables of its own
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # CPU trials keep CUDA_VISIBLE_DEVICES as it is
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no five files per trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own snapshots are never read
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "300",
}
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

import ray  # noqa: E402 - reads its environment while it is imported
from ray import tune  # noqa: E402
from ray.tune.experiment import Trial as TuneTrial  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

__all__ = ["RayTune"]

POINT, RECORD, INDEX = "point", "record", "index"


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one trial takes of the cluster."""

    cpus: float = 1.0
    gpus: float = 0.0


class RayTune:
    """Runs tasks as Tune trials, on a cluster of its own or on the one at `address`.

    Raises SweepError when the cluster cannot be reached or offers no room for a single trial.
    """

    def __init__(
        self,
        *,
        cpus_per_trial: float = 1.0,
        gpus_per_trial: float | None = None,
        address: str | None = None,
        max_concurrent: int | None = None,
        work: Work = run_trial,
    ) -> None:
        self.work = work
        self.started_here = not ray.is_initialized()
        if self.started_here:
            connect(address)
        available: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call] # ray ships no types here
        gpus = min(available.get("GPU", 0.0), 1.0) if gpus_per_trial is None else gpus_per_trial
        self.share = Share(cpus=cpus_per_trial, gpus=gpus)
        self.slots = count_slots(available, self.share, max_concurrent)

    def run(self, tasks: Sequence[Task], listener: Listener) -> None:
        """Run all tasks; warm processes are reused on CPU, every GPU trial gets a fresh one."""
        if not tasks:
            return
        bridge = Bridge(tasks, listener)
        trainable = tune.with_resources(
            tune.with_parameters(run_task, tasks=tuple(tasks), work=self.work),
            tune.PlacementGroupFactory([{"CPU": self.share.cpus, "GPU": self.share.gpus}]),
        )
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        with tempfile.TemporaryDirectory(prefix="contrast_sweep_tune_") as folder:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=PlannedTasks(len(tasks), self.slots),
                    num_samples=-1,
                    reuse_actors=self.share.gpus == 0,
                ),
                run_config=tune.RunConfig(storage_path=folder, name="sweep", callbacks=[bridge], verbose=0),
            )
            tuner.fit()
        bridge.close()

    def shutdown(self) -> None:
        """End the cluster if it was started here; never anybody else's."""
        if self.started_here:
            ray.shutdown()


def connect(address: str | None) -> None:
    """Start a private local cluster, or join the one at `address`."""
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"--address {address}" if address else "a local Ray cluster"
        raise SweepError(f"{where}: cannot connect ({' '.join(str(error).split())}); is `ray status` happy?") from error


def count_slots(available: Mapping[str, float], share: Share, max_concurrent: int | None) -> int:
    """Trials that fit at the same time. Raises SweepError when not even one does."""
    fits = [available.get("CPU", 0.0) / share.cpus] if share.cpus > 0 else []
    if share.gpus > 0:
        fits.append(available.get("GPU", 0.0) / share.gpus)
    slots = int(min(fits) + 1e-9) if fits else 1
    if slots < 1:
        raise SweepError(
            f"resources: a trial wants {share.cpus:g} CPUs and {share.gpus:g} GPUs, the cluster has "
            f"{available.get('CPU', 0):g} and {available.get('GPU', 0):g}; lower `resources` in the search space"
        )
    return min(slots, max_concurrent) if max_concurrent else slots


def run_task(config: dict[str, Any], tasks: tuple[Task, ...], work: Work) -> None:
    """The function Tune runs in a worker: one task, its points and at last its record go back as reports."""

    def report(point: Point) -> None:
        tune.report({POINT: json.dumps(asdict(point))})

    record = work(tasks[config[INDEX]], report)
    tune.report({RECORD: json.dumps(record.to_json())})


class PlannedTasks(Searcher):
    """Hands out tasks 0, 1, 2, ... and nothing else: the plan was made before Tune started."""

    def __init__(self, count: int, max_concurrent: int) -> None:
        super().__init__(metric="training_iteration", mode="max")  # nothing is optimised; Tune asks for a name
        self.count = count
        self.next_index = 0
        self.max_concurrent = max_concurrent
        self.live: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next task's index; None while all slots are busy; FINISHED when all were handed out."""
        if self.next_index >= self.count:
            finished: Any = Searcher.FINISHED  # a string, which Tune's annotation does not know
            return finished  # type: ignore[no-any-return]
        if len(self.live) >= self.max_concurrent:
            return None
        self.live.add(trial_id)
        self.next_index += 1
        return {INDEX: self.next_index - 1}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A slot is free again."""
        self.live.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the record store knows what is done."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: an interrupted sweep plans anew."""


class Bridge(tune.Callback):
    """Turns Tune's callbacks into calls of our listener; exactly one `ended` per task."""

    def __init__(self, tasks: Sequence[Task], listener: Listener) -> None:
        self.tasks = tasks
        self.listener = listener
        self.started_at: dict[int, float] = {}
        self.ended: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that never comes, and listeners hold threads and files."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A trial got its process."""
        self.start(trial.config[INDEX])

    def on_trial_result(
        self,
        iteration: int,
        trials: list[TuneTrial],
        trial: TuneTrial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """A point, or the record that ends the attempt."""
        index = trial.config[INDEX]
        self.start(index)
        if POINT in result:
            self.listener.reported(self.tasks[index], Point(**json.loads(result[POINT])))
        if RECORD in result:
            self.end(index, AttemptRecord.from_json(json.loads(result[RECORD])))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The process or its node died: what it did in the trial itself would have been a record."""
        failure = trial.get_error()
        message = " ".join(str(failure).split())[:500] if failure else "the worker process died"
        self.lose(trial.config[INDEX], message)

    def close(self) -> None:
        """A task that started and never ended is lost."""
        for index in self.started_at:
            self.lose(index, "the trial ended without a record")

    def start(self, index: int) -> None:
        if index not in self.started_at:
            self.started_at[index] = time.time()
            self.listener.started(self.tasks[index])

    def lose(self, index: int, message: str) -> None:
        task = self.tasks[index]
        self.start(index)
        record = AttemptRecord(
            trial_id=task.trial_id,
            attempt=task.attempt,
            state=State.LOST,
            started_at=self.started_at[index],
            ended_at=time.time(),
            error=ErrorRecord(kind="WorkerLost", message=message),
        )
        self.end(index, record)

    def end(self, index: int, record: AttemptRecord) -> None:
        if index not in self.ended:
            self.ended.add(index)
            self.listener.ended(self.tasks[index], record)
