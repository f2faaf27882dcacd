"""RayTune: runs tasks on a Ray cluster.

Ray Tune places the trials and delivers their reports. The controller decides which trial is next and when one stops,
and the record store decides what is done. So none of Tune's own state is kept: its experiment folder is temporary, its
loggers and its restore are off.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.executors.in_flight import CHECK_SECONDS, InFlight
from orchestrator.running.executors.packed_task import TASK
from orchestrator.running.executors.ray_cluster import RayCluster
from orchestrator.running.executors.ray_worker import run_task
from orchestrator.running.executors.trial_worker import TrialWorker
from orchestrator.running.task import Share, Task, Work
from orchestrator.store.git_state import code_state

# after ray_cluster, which sets the environment that Ray reads while it is imported
# isort: split
import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.machine.own_folder import temporary_folder

__all__ = ["RayTune"]

logger = logging.getLogger(__name__)

GRACE_SECONDS = 20.0
"""Default time that a trial has to stop by itself before its worker is killed."""

ASK_SECONDS = 1.0
"""How long workers have to say that they are alive, after Tune has failed."""

UNLIMITED = Share(cpus=1e9, gpus=1e9)


class RayTune:
    """Runs tasks as Tune trials, on a local cluster that it starts, or on the one at `address`.

    Tune's workers stay and train nothing: each hands its trials to the fork server of its node, one after another, and
    passes on what they report. `server`: socket of the one on this node; elsewhere the workers start one, which imports
    `modules`. With both `address` and `max_concurrent`, Ray gets `max_concurrent` trials even if the cluster cannot run
    them at present, so that an autoscaler adds nodes. `grace_seconds`: see GRACE_SECONDS. `environment`: variables that
    trials get from this process. `work`: what a trial does, by default `run_trial`. Raises SweepError when the cluster
    cannot be reached.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        max_concurrent: int | None = None,
        grace_seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
        modules: Sequence[str] = (),
        server: str = "",
        work: Work | None = None,
    ) -> None:
        if work is None:  # workers import this module, but not what trials do
            from orchestrator.running.worker import run_trial as work
        self.work = work
        self.modules = tuple(modules)
        self.server = server
        self.environment = dict(environment or {})
        self.max_concurrent = max_concurrent
        self.grace_seconds = GRACE_SECONDS if grace_seconds is None else grace_seconds
        self.autoscales = address is not None and max_concurrent is not None
        self.alive = Share(cpus=0.0)
        """Resources of the nodes at the last check."""
        self.checked_at = float("-inf")
        self.cluster = RayCluster(address)

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
        """Run tasks until the controller is finished. Raises ExecutorLostError for whatever Tune or Ray raise."""
        if controller.finished:
            return
        remembering: Any = RememberingController(controller)
        in_flight = InFlight(remembering, self)
        function = tune.with_parameters(
            run_task,
            worker=TrialWorker(
                work=ray.cloudpickle.dumps(self.work),  # type: ignore[no-untyped-call] # no types
                server=self.server,
                key=f"sweep-{secrets.token_hex(8)}",
                modules=self.modules,
                code=code_state().facts(),
                umask=self.cluster.umask,
                environment=self.environment,
            ),
        )
        trainable = tune.with_resources(function, placement)
        # it complains about trials without Tune's own result files
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        with temporary_folder("tune") as folder:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=TaskSearcher(in_flight),
                    scheduler=ControllerScheduler(in_flight),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_dirname_creator=str,
                ),
                run_config=tune.RunConfig(storage_path=str(folder), name="sweep", verbose=0),
            )
            try:
                tuner.fit()
            except Exception as error:  # whatever Tune and Ray raise
                if remembering.raised is not None:
                    raise remembering.raised from None
                raise ExecutorLostError(in_flight.fail(error)) from error
        in_flight.close("the trial ended without a record")

    def nodes(self) -> set[str]:
        """Ids of the nodes that are alive and have a CPU."""
        listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return {str(node["NodeID"]) for node in listed if node["Alive"] and node["Resources"].get("CPU")}

    def worker_of(self, trial: Any) -> Any:
        """Handle of the worker of a trial; None when it has none."""
        return trial.temporary_state.ray_actor

    def memory_kills(self, workers: Sequence[Any]) -> list[tuple[Any, str]]:
        """Those of the workers that were killed for their node's memory, with Ray's messages."""
        calls = {worker.__ray_ready__.remote(): worker for worker in workers}
        killed = []
        for call in ray.wait(list(calls), num_returns=len(calls), timeout=ASK_SECONDS)[0] if calls else ():
            try:
                ray.get(call)
            except ray.exceptions.OutOfMemoryError as error:
                killed.append((calls[call], str(error)))
            except Exception as error:  # it died of something else
                logger.debug("%s", error)
        return killed

    def dead_daemons(self) -> list[str]:
        """Which daemons have died, of a cluster that was started here."""
        return self.cluster.dead_daemons()

    def kill(self, trial: Any) -> None:
        """Kill a trial's worker, and so its process; Tune reports it as an error."""
        worker = self.worker_of(trial)
        if worker is not None:
            ray.kill(worker)

    def shutdown(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self.cluster.stop()


class RememberingController:
    """A controller that remembers what it has raised, because Tune makes another exception of it."""

    def __init__(self, controller: SweepController) -> None:
        self.controller = controller
        self.raised: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        """What the controller has under this name."""
        found = self.remember(getattr, self.controller, name)
        return partial(self.remember, found) if callable(found) else found

    def remember(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        try:
            return function(*arguments, **options)
        except Exception as error:
            self.raised = error
            raise


def cause_of(trial: Any) -> str:
    """What Tune has written about the failure of a trial; `Trial.get_error` looks in another folder."""
    try:
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):
        return ""
    return text.partition("\n")[2].strip()  # the first line counts failures


def placement(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """The resources of a trial: one bundle, so all of it on one node, and not on a node to avoid."""
    task: Task = config[TASK].task
    options: dict[str, Any] = {}
    if task.avoid_nodes:
        options["bundle_label_selector"] = [{"ray.io/node-id": f"!in({','.join(task.avoid_nodes)})"}]
    return tune.PlacementGroupFactory([{"CPU": task.share.cpus, "GPU": task.share.gpus}], **options)


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
        """The next trial to get a worker. Tune asks at each step, so this also checks the running trials."""
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
        """The trial was removed before it had a worker."""
        self.in_flight.lose(trial, "the trial ended without a record")

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """The worker or its node died; an exception of the trial itself arrives as a record."""
        self.in_flight.lose(trial, cause_of(trial) or "the worker process died")
