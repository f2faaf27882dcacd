"""RayTune: tasks on a Ray cluster; the only file that imports ray.

Ray Tune places the trials and moves their reports; which trial is next, and when one is stopped, is decided by the
director, and what is done by the record store (design.md, decision 1). So nothing of Tune's own state is kept: its
experiment folder is temporary, its per-trial loggers and its restore are off.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.running.executors.base import Director, ExecutorLostError
from orchestrator.running.executors.in_flight import CHECK_SECONDS, IDLE, NODE, POINT, RECORD, TASK, InFlight
from orchestrator.running.executors.runtime_env import shipment
from orchestrator.running.task import Share, Task, Work
from orchestrator.running.worker import run_trial
from orchestrator.store.git_state import code_state
from orchestrator.store.records import Point, State

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
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

__all__ = ["RayTune"]

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray tells the driver of a Ray job what the job was given."""

GRACE_SECONDS = 20.0
"""How long a trial that is to end may go on without a report, where nothing else is said."""

IDLE_SECONDS = 0.05
"""Between two questions of a process that waits."""

DAEMONS = ("gcs_server", "raylet")
"""Ray's names for the processes that a cluster cannot do without."""

BOUNDLESS = Share(cpus=1e9, gpus=1e9)


class RayTune:
    """Runs tasks as Tune trials, on a cluster of its own or on the one at `address`.

    `processes`: `warm` serves several trials with one process, `fresh` starts one for each, `auto` is warm as long as
    trials take no GPU. With an `address` and `max_concurrent` so many trials are handed to Ray whether or not the
    cluster has room at present: that is what makes an autoscaler add nodes. `grace_seconds`: see GRACE_SECONDS.
    Raises SweepError when the cluster cannot be reached.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        max_concurrent: int | None = None,
        processes: str = "auto",
        grace_seconds: float | None = None,
        work: Work = run_trial,
    ) -> None:
        self.work = work
        self.max_concurrent = max_concurrent
        self.processes = processes
        self.grace_seconds = GRACE_SECONDS if grace_seconds is None else grace_seconds
        self.grows = address is not None and max_concurrent is not None
        self.alive = Share(cpus=0.0)
        """What the nodes had at the last look."""
        self.looked_at = float("-inf")
        self.started_here = not ray.is_initialized()
        if self.started_here:
            connect(address)

    @property
    def capacity(self) -> Share:
        """CPUs and GPUs of the nodes that are alive, or without end where an autoscaler adds nodes.

        The cluster is asked about once a second, Tune at every step. An autoscaler adds nodes with GPUs where there is
        one, and where no node can run a trial as yet: clusters that grow from nothing are there for GPUs;
        `resources.gpus: 0` says otherwise.
        """
        now = time.monotonic()
        if now - self.looked_at >= CHECK_SECONDS:
            found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call] # ray ships no types here
            self.alive, self.looked_at = Share(cpus=found.get("CPU", 0.0), gpus=found.get("GPU", 0.0)), now
        if not self.grows:
            return self.alive
        return BOUNDLESS if self.alive.gpus > 0 or self.alive.cpus == 0 else replace(BOUNDLESS, gpus=0.0)

    def run(self, director: Director) -> None:
        """Run what the director hands out until it is finished."""
        if director.finished:
            return
        in_flight = InFlight(director, self)
        given = tune.with_parameters(run_task, work=self.work, code=code_state().facts())
        trainable = tune.with_resources(given, place)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it complains of trials without a record of Tune
        with tempfile.TemporaryDirectory(prefix="contrast_sweep_tune_") as folder:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=HandedOut(in_flight),
                    scheduler=Verdicts(in_flight),
                    num_samples=-1,
                    reuse_actors=self.reuses_processes,
                    trial_dirname_creator=str,
                ),
                run_config=tune.RunConfig(storage_path=folder, name="sweep", verbose=0),
            )
            try:
                tuner.fit()
            except ExecutorLostError:
                in_flight.close()
                raise
        in_flight.close()

    @property
    def reuses_processes(self) -> bool:
        """Whether one process serves several trials."""
        return self.processes == "warm" or (self.processes == "auto" and self.capacity.gpus == 0)

    def nodes(self) -> set[str]:
        """Ids of the nodes that are alive and have a CPU."""
        listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return {str(node["NodeID"]) for node in listed if node["Alive"] and node["Resources"].get("CPU")}

    def dead_daemons(self) -> list[str]:
        """Of the processes without which a cluster that was started here is none: those that died.

        Ray itself says nothing of it, and after some seconds ends the driver by force.
        """
        node: Any = ray._private.worker._global_node if self.started_here else None
        dead = node.dead_processes() if node is not None else []
        return [name for name, _ in dead if name in DAEMONS]

    def kill(self, trial: TuneTrial) -> None:
        """End a trial's process now; Tune hears of it as an error."""
        actor = trial.temporary_state.ray_actor
        if actor is not None:
            ray.kill(actor)

    def shutdown(self) -> None:
        """End the cluster if it was started here; never anybody else's."""
        if self.started_here:
            ray.shutdown()


def connect(address: str | None) -> None:
    """Start a private local cluster, or join the one at `address` and send it this code. Raises SweepError."""
    if address is not None and "://" in address:
        raise SweepError(
            f"--address {address}: a sweep does not run through Ray Client; start it on a node of the cluster, "
            "with --address auto"
        )
    try:
        with keep_sigterm(), tempfile.TemporaryDirectory(prefix="contrast_sweep_empty_") as empty:
            sending = shipment(Path(empty), job=os.environ.get(JOB_CONFIG, "")) if address is not None else None
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
                runtime_env=sending,
            )
    except Exception as error:  # a raylet that dies while it starts is a bare one
        cause = " ".join(str(error).split())
        if address is None:
            raise SweepError(f"a local Ray cluster: cannot start ({cause})") from error
        raise SweepError(
            f"--address {address}: cannot connect ({cause}); does `ray status` find the cluster, and does this shell "
            "have its token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (deploy/README.md)?"
        ) from error


@contextmanager
def keep_sigterm() -> Iterator[None]:
    """Put the handler of SIGTERM back after the body: Ray sets one that exits at once, and ours ends trials gently."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def place(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What a trial takes: one bundle, all of it on one node, and none of those to avoid while others are alive."""
    task: Task = config[TASK].task
    others: dict[str, Any] = {}
    if task.avoid:
        others["bundle_label_selector"] = [{"ray.io/node-id": f"!in({','.join(task.avoid)})"}]
    return tune.PlacementGroupFactory([{"CPU": task.share.cpus, "GPU": task.share.gpus}], **others)


def run_task(config: dict[str, Any], work: Work, code: Mapping[str, str]) -> None:
    """The function Tune runs in a worker: one task, its points and at last its record go back as reports.

    A worker whose source was sent has no repository to ask for the commit; `code` is what the driver knows of it.
    """
    node = ray.get_runtime_context().get_node_id()

    def report(point: Point) -> None:
        tune.report({POINT: json.dumps(asdict(point)), NODE: node})

    record = work(config[TASK].task, report)
    if not record.environment.get("commit"):
        record = replace(record, environment={**record.environment, **code})
    if record.state is State.LOST:  # its device was busy, or one of its ranks died: elsewhere next time
        record = replace(record, environment={**record.environment, "node": node})
    tune.report({RECORD: json.dumps(record.to_json())})
    while True:  # until the driver ends us, which it does at the record unless it holds us back
        time.sleep(IDLE_SECONDS)
        tune.report({IDLE: True})


class HandedOut(Searcher):
    """Gives Tune the director's tasks as they come."""

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__(metric="training_iteration", mode="max")  # nothing is optimised; Tune asks for a name
        self.in_flight = in_flight

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next task; None while there is no room or nothing to start; FINISHED when nothing is left."""
        if self.in_flight.director.finished:
            finished: Any = Searcher.FINISHED  # a string, which Tune's annotation does not know
            return finished  # type: ignore[no-any-return]
        packed_task = self.in_flight.hand_out()
        return None if packed_task is None else {TASK: packed_task}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the in_flight know."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the record store knows what is done."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: an interrupted sweep plans anew."""


class Verdicts(FIFOScheduler):
    """First come, first served; a trial ends when the director says so.

    A scheduler is told all that a callback is told, and Tune imports MLflow to count the callbacks of a run.
    """

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_flight = in_flight

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """The trial that comes next; asked at each step of Tune, and so the time to see how things are."""
        self.in_flight.notice_starts()
        self.in_flight.look()
        waiting: Any = self.in_flight.first_pending()
        return waiting  # type: ignore[no-any-return]

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """A task became a trial."""
        self.in_flight.add(trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Hand the report on; stop or go on."""
        return str(TrialScheduler.STOP if self.in_flight.receive(trial, result) else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        """The trial is over; without a record when it was stopped."""
        self.in_flight.lose(trial, "the trial ended without a record")

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:
        """The trial was taken back before it had a process."""
        self.in_flight.lose(trial, "the trial ended without a record")

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """The process or its node died: what goes wrong in the trial itself is a record."""
        failure = trial.get_error()
        message = " ".join(str(failure).split())[:500] if failure else "the worker process died"
        self.in_flight.lose(trial, message)
