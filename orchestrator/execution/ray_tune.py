"""RayTune: tasks on a Ray cluster; the only file that imports ray.

Ray Tune places the trials and moves their reports; which trial is next, and when one is stopped, is decided by the
director, and what is done by the record store (design.md, decision 1). So nothing of Tune's own state is kept: its
experiment folder is temporary, its per-trial loggers and its restore are off.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.code_state import code_state
from orchestrator.errors import SweepError
from orchestrator.execution.base import Director, ExecutorLostError, Share, Task, Work
from orchestrator.execution.shipment import shipment
from orchestrator.failures import sign
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
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402

__all__ = ["RayTune"]

POINT, RECORD, NODE, PARCEL, IDLE = "point", "record", "node", "parcel", "idle"

JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Where Ray tells the driver of a Ray job what the job was given."""

CHECK_SECONDS = 1.0
"""Between two looks at the running trials and at what the cluster has."""

GRACE_SECONDS = 20.0
"""How long a trial that is to end may go on without a report, where nothing else is said."""

WARM_UP_SECONDS = 10.0
"""How long processes that are done wait for those that are starting: see `Flights.holds`."""

IDLE_SECONDS = 0.05
"""Between two questions of a process that waits."""

DAEMONS = ("gcs_server", "raylet")
"""Ray's names for the processes that a cluster cannot do without."""

BOUNDLESS = Share(cpus=1e9, gpus=1e9)


class Parcel:
    """A task on its way to a worker, wrapped once: Tune copies it, sends it back with every report and writes it down.

    Short to print, because Tune writes the values of a trial into its name.
    """

    __slots__ = ("content", "index")

    def __init__(self, index: int, content: bytes) -> None:
        self.index = index
        self.content = content

    @classmethod
    def wrap(cls, index: int, task: Task) -> Parcel:
        """A task as a parcel."""
        return cls(index, pickle.dumps(task))

    @property
    def task(self) -> Task:
        """What is in it."""
        task: Task = pickle.loads(self.content)  # noqa: S301 - wrapped by our own driver
        return task

    def __repr__(self) -> str:
        return str(self.index)

    def __reduce__(self) -> tuple[type[Parcel], tuple[int, bytes]]:
        return Parcel, (self.index, self.content)

    def __deepcopy__(self, memo: object) -> Parcel:
        """Itself: it never changes."""
        return self


@dataclass(slots=True)
class Flight:
    """A task that was handed to Tune and has not ended."""

    task: Task
    trial: TuneTrial | None = None
    started_at: float | None = None
    node: str = ""
    """Id of the node it runs on, once it has reported."""
    condemned_at: float | None = None
    """When the director first wanted it to end, by the monotonic clock."""


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
        flights = Flights(director, self)
        given = tune.with_parameters(run_task, work=self.work, code=code_state().facts())
        trainable = tune.with_resources(given, place)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it complains of trials without a record of Tune
        with tempfile.TemporaryDirectory(prefix="contrast_sweep_tune_") as folder:
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=HandedOut(flights),
                    scheduler=Verdicts(flights),
                    num_samples=-1,
                    reuse_actors=self.reuses_processes,
                    trial_dirname_creator=str,
                ),
                run_config=tune.RunConfig(storage_path=folder, name="sweep", callbacks=[Watch(flights)], verbose=0),
            )
            try:
                tuner.fit()
            except ExecutorLostError:
                flights.close()
                raise
        flights.close()

    @property
    def reuses_processes(self) -> bool:
        """Whether one process serves several trials."""
        return self.processes == "warm" or (self.processes == "auto" and self.capacity.gpus == 0)

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


def dead_daemons() -> list[str]:
    """Of the processes without which the cluster started here is none: those that died.

    Ray itself says nothing of it, and after some seconds ends the driver by force.
    """
    node: Any = ray._private.worker._global_node
    dead = node.dead_processes() if node is not None else []
    return [name for name, _ in dead if name in DAEMONS]


def place(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What a trial takes: one bundle, all of it on one node, and none of those to avoid while others are alive."""
    task: Task = config[PARCEL].task
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

    record = work(config[PARCEL].task, report)
    if not record.environment.get("commit"):
        record = replace(record, environment={**record.environment, **code})
    if record.state is State.LOST:  # its device was busy, or one of its ranks died: elsewhere next time
        record = replace(record, environment={**record.environment, "node": node})
    tune.report({RECORD: json.dumps(record.to_json())})
    while True:  # until the driver ends us, which it does at the record unless it holds us back
        time.sleep(IDLE_SECONDS)
        tune.report({IDLE: True})


class Flights:
    """The tasks that Tune has; turns what happens to them into calls of the director, one `ended` for each task."""

    def __init__(self, director: Director, executor: RayTune) -> None:
        self.director = director
        self.executor = executor
        self.running: dict[int, Flight] = {}
        self.count = 0
        self.looked_at = 0.0
        self.held: dict[int, set[int]] = {}
        """By flight that is over, those whose start its process waits for."""
        self.warm_at: float | None = None
        """When no process waits for another any more, by the monotonic clock."""
        self.reuses = executor.reuses_processes

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        """Nothing: Tune pickles what it gets for a restore that never comes, and directors hold threads and files."""
        return object, ()

    def hand_out(self) -> Parcel | None:
        """The director's next task, if there is room for it."""
        limit = self.executor.max_concurrent
        if limit is not None and len(self.running) >= limit:
            return None
        room = self.executor.capacity
        for flight in self.running.values():
            room = room - flight.task.share
        task = self.director.next_task(room)
        if task is None:
            return None
        self.count += 1
        self.running[self.count] = Flight(self.alive(task))
        return Parcel.wrap(self.count, self.running[self.count].task)

    def alive(self, task: Task) -> Task:
        """The task, with only those nodes to avoid that leave it a place to go to."""
        if not task.avoid:
            return task
        listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        nodes = {str(node["NodeID"]) for node in listed if node["Alive"] and node["Resources"].get("CPU")}
        avoid = tuple(node for node in task.avoid if node in nodes)
        return replace(task, avoid=avoid if set(avoid) < nodes else ())

    def start(self, trial: TuneTrial) -> None:
        """A trial got its process."""
        flight = self.running.get(index_of(trial))
        if flight is None:
            return
        flight.trial = trial
        if flight.started_at is None:
            flight.started_at = time.time()
            self.director.started(flight.task)

    def receive(self, trial: TuneTrial, result: Mapping[str, Any]) -> bool:
        """A point, or the record that ends the attempt; returns whether the trial is to stop now.

        It does after its record, which is the last that it does, unless its process is held back.
        """
        self.start(trial)
        index = index_of(trial)
        flight = self.running.get(index)
        if flight is None:
            return not self.holds(index)
        if RECORD in result:
            self.held[index] = {
                other
                for other, item in self.running.items()
                if item.started_at is None and item.task.share == flight.task.share
            }
            self.end(trial, AttemptRecord.from_json(json.loads(result[RECORD])))
            return not self.holds(index)
        if POINT in result:
            flight.node = result[NODE]
            self.director.reported(flight.task, Point(**json.loads(result[POINT])))
        return self.director.verdict(flight.task) is not None

    def holds(self, index: int) -> bool:
        """Whether the process of a flight that is over is to wait for others that are starting.

        Tune gives a process that is free to the trial that waits longest, and calls off the one that was started for
        it; so with trials shorter than a start one process runs them all, whatever there is room for. A sweep waits
        `WARM_UP_SECONDS` in all: on a cluster that others fill too, some never start.
        """
        waiting = {other for other in self.held.get(index, ()) if self.is_starting(other)}
        if waiting and self.reuses:
            now = time.monotonic()
            self.warm_at = self.warm_at or now + WARM_UP_SECONDS
            if now < self.warm_at:
                return True
        self.held.pop(index, None)
        return False

    def is_starting(self, index: int) -> bool:
        """Whether a flight has no process yet."""
        return index in self.running and self.running[index].started_at is None

    def lose(self, trial: TuneTrial, message: str) -> None:
        """The trial ended without a record: stopped by the director, or its process died."""
        self.start(trial)
        flight = self.running.get(index_of(trial))
        if flight is None:
            return
        stopped = self.director.verdict(flight.task)
        error = sign(ErrorRecord(kind="WorkerLost", message=message))
        self.end(
            trial,
            AttemptRecord(
                trial_id=flight.task.trial_id,
                attempt=flight.task.attempt,
                state=stopped or State.LOST,
                started_at=flight.started_at or time.time(),
                ended_at=time.time(),
                error=None if stopped else error,
                environment={"node": flight.node} if flight.node else {},
                resources=asdict(flight.task.share),
            ),
        )

    def end(self, trial: TuneTrial, record: AttemptRecord) -> None:
        """Tell the director, once."""
        flight = self.running.pop(index_of(trial), None)
        if flight is not None:
            self.director.ended(flight.task, record)

    def look(self) -> None:
        """About once a second: see that the cluster lives, and end by force what should have ended."""
        now = time.monotonic()
        if now - self.looked_at < CHECK_SECONDS:
            return
        self.looked_at = now
        if self.executor.started_here and (died := dead_daemons()):
            raise ExecutorLostError(f"Ray's {' and '.join(died)} died; the same command goes on from here")
        for flight in list(self.running.values()):
            if flight.trial is None or self.director.verdict(flight.task) is None:
                continue
            flight.condemned_at = flight.condemned_at or now
            if now - flight.condemned_at > self.executor.grace_seconds:
                kill(flight.trial)

    def close(self) -> None:
        """What Tune never brought to an end is lost."""
        for flight in list(self.running.values()):
            if flight.trial is not None:
                self.lose(flight.trial, "the trial ended without a record")


def index_of(trial: TuneTrial) -> int:
    """Number of the flight behind a Tune trial."""
    parcel: Parcel = trial.config[PARCEL]
    return parcel.index


def kill(trial: TuneTrial) -> None:
    """End a trial's process now; Tune hears of it as an error."""
    actor = trial.temporary_state.ray_actor
    if actor is not None:
        ray.kill(actor)


class HandedOut(Searcher):
    """Gives Tune the director's tasks as they come."""

    def __init__(self, flights: Flights) -> None:
        super().__init__(metric="training_iteration", mode="max")  # nothing is optimised; Tune asks for a name
        self.flights = flights

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next task; None while there is no room or nothing to start; FINISHED when nothing is left."""
        if self.flights.director.finished:
            finished: Any = Searcher.FINISHED  # a string, which Tune's annotation does not know
            return finished  # type: ignore[no-any-return]
        parcel = self.flights.hand_out()
        return None if parcel is None else {PARCEL: parcel}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the flights know."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: the record store knows what is done."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: an interrupted sweep plans anew."""


class Verdicts(FIFOScheduler):
    """First come, first served; a trial ends when the director says so."""

    def __init__(self, flights: Flights) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flights = flights

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Hand the report on; stop or go on."""
        return str(TrialScheduler.STOP if self.flights.receive(trial, result) else TrialScheduler.CONTINUE)


class Watch(tune.Callback):
    """What only callbacks are told."""

    def __init__(self, flights: Flights) -> None:
        self.flights = flights

    def on_step_begin(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Tune looks for work."""
        self.flights.look()

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A trial got its process."""
        self.flights.start(trial)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The trial is over; without a record when it was stopped."""
        self.flights.lose(trial, "the trial ended without a record")

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The process or its node died: what goes wrong in the trial itself is a record."""
        failure = trial.get_error()
        message = " ".join(str(failure).split())[:500] if failure else "the worker process died"
        self.flights.lose(trial, message)
