"""RayTune: runs tasks on a Ray cluster; the only file that imports ray.

Ray Tune places the trials and delivers their reports. The controller decides which trial is next and when one stops,
and the record store decides what is done. So none of Tune's own state is kept: its experiment folder is temporary, its
loggers and its restore are off.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import SweepError
from orchestrator.interrupts import keeping_handlers
from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.executors.in_flight import CHECK_SECONDS, IDLE, NODE, POINT, RECORD, TASK, InFlight
from orchestrator.running.executors.runtime_env import runtime_env_of
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

GRACE_SECONDS = 20.0
"""Default time that a trial has to stop by itself before its process is killed."""

IDLE_SECONDS = 0.05
"""Time between two reports of a process that waits after its record."""

DAEMONS = ("gcs_server", "raylet")
"""Ray's names of the processes without which a cluster does not work."""

UNLIMITED = Share(cpus=1e9, gpus=1e9)


class RayTune:
    """Runs tasks as Tune trials, on a local cluster that it starts, or on the one at `address`.

    `processes`: `warm` runs several trials in one process, `fresh` starts a process for each, `auto` is warm while
    trials take no GPU. With both `address` and `max_concurrent`, Ray gets `max_concurrent` trials even if the cluster
    cannot run them at present, so that an autoscaler adds nodes. `grace_seconds`: see GRACE_SECONDS. Raises SweepError
    when the cluster cannot be reached.
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
        self.autoscales = address is not None and max_concurrent is not None
        self.alive = Share(cpus=0.0)
        """Resources of the nodes at the last check."""
        self.checked_at = float("-inf")
        self.started_here = not ray.is_initialized()
        if self.started_here:
            connect(address)

    @property
    def capacity(self) -> Share:
        """CPUs and GPUs of the nodes that are alive; unlimited where an autoscaler adds nodes.

        Tune asks at every step, and the cluster is asked about once a second. An autoscaler is taken to add nodes with
        GPUs if the cluster has one, or if no node can run a trial yet: clusters that start without nodes usually exist
        for their GPUs, and `resources.gpus: 0` says otherwise.
        """
        now = time.monotonic()
        if now - self.checked_at >= CHECK_SECONDS:
            found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call] # ray ships no types here
            self.alive, self.checked_at = Share(cpus=found.get("CPU", 0.0), gpus=found.get("GPU", 0.0)), now
        if not self.autoscales:
            return self.alive
        return UNLIMITED if self.alive.gpus > 0 or self.alive.cpus == 0 else replace(UNLIMITED, gpus=0.0)

    def run(self, controller: SweepController) -> None:
        """Run tasks until the controller is finished. Raises ExecutorLostError."""
        if controller.finished:
            return
        in_flight = InFlight(controller, self)
        function = tune.with_parameters(run_task, work=self.work, code=code_state().facts())
        trainable = tune.with_resources(function, placement)
        # it complains about trials without Tune's own result files
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        with tempfile.TemporaryDirectory(prefix="contrast_sweep_tune_") as folder:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=TaskSearcher(in_flight),
                    scheduler=ControllerScheduler(in_flight),
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
        """Whether one process runs several trials."""
        return self.processes == "warm" or (self.processes == "auto" and self.capacity.gpus == 0)

    def nodes(self) -> set[str]:
        """Ids of the nodes that are alive and have a CPU."""
        listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return {str(node["NodeID"]) for node in listed if node["Alive"] and node["Resources"].get("CPU")}

    def dead_daemons(self) -> list[str]:
        """Which of DAEMONS have died, of a cluster that was started here.

        Ray itself does not report it, and kills the driver after some seconds.
        """
        node: Any = ray._private.worker._global_node if self.started_here else None
        dead = node.dead_processes() if node is not None else []
        return [name for name, _ in dead if name in DAEMONS]

    def kill(self, trial: Any) -> None:
        """Kill a trial's process; Tune reports it as an error."""
        actor = trial.temporary_state.ray_actor
        if actor is not None:
            ray.kill(actor)

    def shutdown(self) -> None:
        """Stop the cluster if it was started here."""
        if self.started_here:
            ray.shutdown()


def connect(address: str | None) -> None:
    """Start a local cluster, or join the one at `address` and send it this source code. Raises SweepError."""
    if address is not None and "://" in address:
        raise SweepError(
            f"--address {address}: a sweep cannot run through Ray Client; start it on a node of the cluster with "
            "--address auto"
        )
    try:
        # Ray sets handlers of SIGTERM that exit at once; ours lets trials stop first
        with (
            keeping_handlers(),
            of_driver_only(),
            tempfile.TemporaryDirectory(prefix="contrast_sweep_empty_") as empty,
        ):
            job = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "")  # Ray sets it for the driver of a Ray job
            runtime_env = runtime_env_of(Path(empty), job=job) if address is not None else None
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
                runtime_env=runtime_env,
            )
    except Exception as error:  # a raylet that dies during its start raises a bare Exception
        cause = " ".join(str(error).split())
        if address is None:
            raise SweepError(f"cannot start a local Ray cluster ({cause})") from error
        raise SweepError(
            f"--address {address}: cannot connect ({cause}); check that `ray status` finds the cluster and that this "
            "shell has its token: RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (deploy/README.md)"
        ) from error


@contextmanager
def of_driver_only() -> Iterator[None]:
    r"""In the body, start processes that do not get the signals of a closing terminal and of Ctrl-\.

    A terminal sends them to all processes in the foreground; the driver alone decides when its cluster ends. A process
    inherits the mask of the thread that starts it. Ray itself does the same for Ctrl-C.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGQUIT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def placement(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """The resources of a trial: one bundle, so all of it on one node, and not on a node to avoid."""
    task: Task = config[TASK].task
    options: dict[str, Any] = {}
    if task.avoid_nodes:
        options["bundle_label_selector"] = [{"ray.io/node-id": f"!in({','.join(task.avoid_nodes)})"}]
    return tune.PlacementGroupFactory([{"CPU": task.share.cpus, "GPU": task.share.gpus}], **options)


def run_task(config: dict[str, Any], work: Work, code: Mapping[str, str]) -> None:
    """The function that Tune runs in a worker: runs one task and reports its points and, last, its record.

    `code` is the driver's git state, for workers that got the source code without its repository.
    """
    node = ray.get_runtime_context().get_node_id()

    def report(point: Point) -> None:
        tune.report({POINT: json.dumps(asdict(point)), NODE: node})

    record = work(config[TASK].task, report)
    if not record.environment.get("commit"):
        record = replace(record, environment={**record.environment, **code})
    if record.state is State.LOST:  # its device was busy, or a rank died: the retry avoids this node
        record = replace(record, environment={**record.environment, "node": node})
    tune.report({RECORD: json.dumps(record.to_json())})
    while True:  # until the driver stops this trial: at its record, or later (`InFlight.holds`)
        time.sleep(IDLE_SECONDS)
        tune.report({IDLE: True})


class TaskSearcher(Searcher):
    """Gives Tune the controller's tasks as the suggestions of a search algorithm."""

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__(metric="training_iteration", mode="max")  # Tune requires a metric; nothing is optimised
        self.in_flight = in_flight

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next task; None while nothing can start; FINISHED when nothing is left."""
        if self.in_flight.controller.finished:
            finished: Any = Searcher.FINISHED  # a string, which Tune's annotation does not allow
            return finished  # type: ignore[no-any-return]
        packed = self.in_flight.next_task()
        return None if packed is None else {TASK: packed}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to do: `ControllerScheduler` is told too."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the record store knows what is done."""


class ControllerScheduler(FIFOScheduler):
    """First in, first out; a trial stops when the controller says so.

    A scheduler and not a callback, although both are told the same: Tune imports MLflow when a run has callbacks.
    """

    def __init__(self, in_flight: InFlight) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.in_flight = in_flight

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """The next trial to get a process. Tune asks at each step, so this also checks the running trials."""
        self.in_flight.notice_starts()
        self.in_flight.check()
        waiting: Any = self.in_flight.first_pending()
        return waiting  # type: ignore[no-any-return]

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:
        """A task has become a trial."""
        self.in_flight.add(trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """A trial has reported."""
        return str(TrialScheduler.STOP if self.in_flight.receive(trial, result) else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> None:
        """The trial is over; it has no record if it was stopped."""
        self.in_flight.lose(trial, "the trial ended without a record")

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:
        """The trial was removed before it had a process."""
        self.in_flight.lose(trial, "the trial ended without a record")

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """The process or its node died; an exception of the trial itself arrives as a record."""
        failure = trial.get_error()
        message = " ".join(str(failure).split())[:500] if failure else "the worker process died"
        self.in_flight.lose(trial, message)
