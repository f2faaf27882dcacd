"""Driver: runs what is left of a plan and records what happens, in the store first and then with every tracker.

It hands tasks to an executor, is told how they end, and decides what follows: a retry, a larger share of a GPU, the
next trial of a search, or the end of the sweep.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from orchestrator.errors import StoreError
from orchestrator.planning.adaptive.base import GrowingPlan
from orchestrator.planning.cost_forecast import CostBook
from orchestrator.planning.identity import canonical
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.running.budget import BudgetUsage
from orchestrator.running.executors.base import Executor, ExecutorLostError
from orchestrator.running.failures import DISK_ERROR, RETRY_POLICIES, ConsecutiveFailures, RetryHistory
from orchestrator.running.gpu_packing import GpuPacking
from orchestrator.running.guarded_tracker import GuardedTracker
from orchestrator.running.task import Share, Task
from orchestrator.running.tracker import Tracker
from orchestrator.running.trial_queue import TrialQueue
from orchestrator.spec.blocks import Budget, Resources, Retries
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.workload.runtime import Runtime
from orchestrator.workload.source_digest import codes_in

__all__ = ["INTERRUPTED", "Driver", "RunPolicy"]

INTERRUPTED = "interrupted"
"""`Driver.halted` after a signal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPolicy:
    """What the search space says about resources, retries and limits."""

    resources: Resources = Resources()
    retries: Retries = Retries()
    budget: Budget = Budget()
    max_consecutive_failures: int = 3
    """Consecutive failures with one signature that end the sweep; 0: no limit."""


@dataclass(slots=True)
class RunningTask:
    """A task that an executor has taken."""

    task: Task
    trial: Trial
    probed: tuple[Trial, ...] = ()
    """The trials whose shapes a probe measures."""
    stop_state: State | None = None
    """The state to end it with; None while it may run on."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""


class Driver:
    """The `SweepController` of a sweep, and the only writer of the store while it runs."""

    def __init__(
        self,
        store: RecordStore,
        trackers: Sequence[Tracker],
        policy: RunPolicy | None = None,
        *,
        costs: CostBook | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`costs` gets the time and memory that finished trials took."""
        self.store = store
        self.costs = costs
        self.trackers = tuple(map(GuardedTracker, trackers))
        self.policy = policy or RunPolicy()
        self.clock = clock
        self.outcomes: dict[str, AttemptRecord] = {}
        self.halted = ""
        """Why no further trial starts; empty while the sweep runs normally."""
        self.interrupted = False
        self.queue = TrialQueue()
        self.running: dict[str, RunningTask] = {}
        self.history: dict[str, RetryHistory] = {}
        self.consecutive_failures = ConsecutiveFailures(self.policy.max_consecutive_failures)
        self.packing = GpuPacking(self.policy.resources)
        self.growing_plan: GrowingPlan | None = None
        self.source: GrowingPlan | None = None
        """`growing_plan` if it may add trials; None when only selected trials run."""

    def run(
        self,
        plan: SweepPlan,
        outcomes: Mapping[str, AttemptRecord],
        runtime: Runtime,
        executor: Callable[[], Executor],
        growing_plan: GrowingPlan | None = None,
        selected: frozenset[str] | None = None,
    ) -> dict[str, AttemptRecord]:
        """Run the trials of `plan` that `outcomes` lacks, and those that `growing_plan` adds; returns all outcomes.

        Outcomes are by trial id. With `selected`, only trials with these ids run, and none is added. `executor` is
        called only when there is something to run. KeyboardInterrupt passes through; what has ended is recorded, and
        the same call resumes the sweep. Raises SweepError when the cluster is too small for any trial.
        """
        self.plan, self.outcomes, self.runtime = plan, dict(outcomes), runtime
        self.growing_plan = growing_plan
        waiting = {trial.trial_id: trial for trial in plan.unfinished(outcomes)}
        if growing_plan is not None:
            waiting.update({trial.trial_id: trial for trial in growing_plan.resume(outcomes)})
            self.adopt(growing_plan)
        if selected is not None:
            waiting = {trial_id: trial for trial_id, trial in waiting.items() if trial_id in selected}
        self.source = growing_plan if selected is None else None
        self.queue = TrialQueue(waiting.values())
        counted = self.plan.trials if self.policy.budget.gpu_hours is not None else ()  # attempts of earlier commands
        earlier = (record for trial in counted for record in self.store.attempts(trial.trial_id))
        self.budget = BudgetUsage(self.policy.budget, earlier, self.clock())
        for tracker in self.trackers:
            tracker.begin(self.plan.record, outcomes)
        if not self.finished:
            self.executor = executor()
            self.packing.check(self.executor.capacity)
            try:
                self.executor.run(self)
            except ExecutorLostError as error:
                self.halt(str(error))
        return self.outcomes

    def finish(self, artifacts: Mapping[str, Path], *, completed: bool) -> None:
        """Tell the trackers that the sweep is over; `artifacts` are the files written for it."""
        if self.costs is not None:
            with suppress(OSError):  # only forecasts are lost
                self.costs.save()
        for tracker in self.trackers:
            tracker.finish(self.outcomes, artifacts, completed)

    def preparing(self, what: str) -> None:
        """Tell the trackers what is being started before trials can report; empty: nothing any more."""
        for tracker in self.trackers:
            tracker.preparing(what)

    def halt(self, reason: str) -> None:
        """Start no further trial, and stop the running ones at their next report."""
        self.halted = self.halted or reason
        self.queue.clear()

    def interrupt(self) -> None:
        """Halt because the user says so. A signal handler may call this."""
        self.interrupted = True
        self.halt(INTERRUPTED)

    @contextmanager
    def recording(self, trial_id: str = "") -> Iterator[None]:
        """Halt the sweep when the run directory cannot be written, as on a full disk; what was written before counts.

        An executor must not see the error: Ray Tune would take it for one of the trial, and start that again.
        """
        try:
            yield
        except StoreError as error:
            trial = f"{self.plan.record.label_of(trial_id)} [{trial_id}]: " if trial_id else ""
            self.halt(f"{trial}{error}")

    # -- what the executor asks

    @property
    def finished(self) -> bool:
        """Nothing runs, nothing waits, and no trial is to be added."""
        if self.running:
            return False
        if self.halted:  # perhaps before there was a queue to clear
            return True
        return not len(self.queue) and (self.source is None or self.source.exhausted)

    @property
    def only_runs(self) -> bool:
        """Trials run, none waits for resources or a retry, and none is to be added."""
        adds = self.source is not None and not self.halted and not self.source.exhausted
        return bool(self.running) and not len(self.queue) and not adds

    def next_task(self, available: Share) -> Task | None:
        """The next attempt that fits into `available`; None when nothing can start now."""
        if not self.must_halt():
            with self.recording():
                return self.choose_task(available)
        return None

    def choose_task(self, available: Share) -> Task | None:
        """`next_task` of a sweep that has not halted. Raises StoreError."""
        capacity = self.executor.capacity
        if self.source is not None and not len(self.queue) and self.packing.smallest_share(capacity).fits(available):
            self.draw(self.source)
        probing = [trial for item in self.running.values() for trial in item.probed]
        trial = self.queue.pop(self.clock(), lambda trial: self.packing.can_start(trial, capacity, available, probing))
        if trial is not None:
            share = self.packing.share(trial, capacity)
            if share is None:
                return self.start_probe(self.packing.to_probe(trial, self.queue.ready, available, probing))
            return self.start(trial, share)
        idle = bool(self.queue.ready) and not self.running
        if reason := self.packing.shortage(capacity, self.clock(), idle=idle):
            self.halt(reason)
        return None

    def start_probe(self, trials: tuple[Trial, ...]) -> Task:
        """A task that measures the shapes of `trials`; the first of them waits for its end."""
        task = replace(
            self.start(trials[0], self.packing.of_gpus(1.0)), attempt=0, probe=tuple(trial.config for trial in trials)
        )
        self.running[task.trial_id] = RunningTask(task, trials[0], probed=trials)
        return task

    def start(self, trial: Trial, share: Share) -> Task:
        """A task for the trial's next attempt with `share`."""
        history = self.history.get(trial.trial_id, RetryHistory())
        accepted = codes_in(self.plan.record.accepted_code.get(trial.trial_id, ""))
        ranks = self.runtime.ranks
        on_gpu = share.gpus > 0 and self.runtime.device != "cpu"
        on = {"device": "cuda", "gpu_share": min(share.gpus / ranks, 1.0)} if on_gpu else {"device": "cpu"}
        task = Task(
            trial_id=trial.trial_id,
            attempt=self.store.next_attempt(trial.trial_id),
            config=trial.config,
            runtime=replace(self.runtime, **on, accepted_code=accepted),
            workdir=self.store.workdir(trial.trial_id, work=not self.plan.workload.is_built_in),
            share=share,
            avoid_nodes=history.lost_nodes,
            run_dir=self.store.address,
        )
        self.running[trial.trial_id] = RunningTask(task, trial)
        return task

    def stop_state(self, task: Task) -> State | None:
        """The state with which to stop a running task; None to let it run."""
        running = self.running.get(task.trial_id)
        if running is None:
            return None
        if running.stop_state is None:
            if self.budget.overdue(task.trial_id, self.clock()):
                running.stop_state = State.TIMED_OUT
            elif self.must_halt():
                running.stop_state = State.CANCELLED
        return running.stop_state

    def must_halt(self) -> bool:
        """Whether the sweep has halted, which it does once its budget is used up."""
        if not self.halted and (reason := self.budget.exhausted(self.clock())):
            self.halt(reason)
        return bool(self.halted)

    # -- what the executor tells

    def started(self, task: Task) -> None:
        """Record that an attempt has started."""
        if task.probe:
            return
        self.budget.started(task.trial_id, task.share.gpus, self.clock())
        facts = {
            "data": self.running[task.trial_id].trial.data_digest,
            **self.plan.workload.identity,
            "code": self.present_code,
            "sweep": self.plan.record.name,
            "row": self.plan.record.row_of(task.trial_id),
        }
        if (steps := self.plan.workload.steps(task.config)) is not None:
            facts["steps"] = steps
        resumes_code = partial(self.plan.record.accepts_code, task.trial_id)
        with self.recording(task.trial_id):
            self.store.start(
                task.trial_id, task.attempt, canonical(task.config), time.time(), facts, resumes_code=resumes_code
            )
        for tracker in self.trackers:
            tracker.started(task)

    def reported(self, task: Task, point: Point) -> None:
        """Record a point; a search's scheduler may stop the trial because of it."""
        running = self.running[task.trial_id]
        running.metrics.update(point.metrics)
        with self.recording(task.trial_id):
            self.store.append(task.trial_id, point)
        for tracker in self.trackers:
            tracker.reported(task, point)
        if self.growing_plan is not None and self.growing_plan.should_stop(task.trial_id, point):
            running.stop_state = running.stop_state or State.STOPPED

    def returned(self, task: Task) -> None:
        """Queue the trial of a task that has not started."""
        running = self.running.pop(task.trial_id)
        if not self.halted:
            self.queue.add_retry(running.trial, self.clock())

    def ended(self, task: Task, record: AttemptRecord, *, counts: bool = True) -> None:
        """Record the end of an attempt, durably, before any tracker is told; then decide what follows."""
        running = self.running.pop(task.trial_id)
        if task.probe:
            if counts:
                self.packing.add_probe(running.probed, record)
            if not self.halted:
                self.queue.add_retry(running.trial, self.clock())
            return
        record = self.completed(running, record)
        recorded = False
        with self.recording(task.trial_id):
            self.store.end(record)
            recorded = True
        if not recorded:
            return
        self.outcomes[task.trial_id] = record
        self.budget.ended(task.trial_id, record)
        if self.costs is not None:
            self.costs.note(task.config, record, task.workdir)
        for tracker in self.trackers:
            tracker.ended(task, record)
        if reason := self.consecutive_failures.add(record):
            self.halt(reason)
        if record.error is not None and record.error.kind == DISK_ERROR and not self.store.files.remote:
            self.halt(f"{self.plan.record.label_of(task.trial_id)} [{task.trial_id}]: {record.error.message}")
        retried = self.retry(running, record, counts=counts)
        if self.growing_plan is not None and not retried and record.state is not State.CANCELLED:
            self.growing_plan.ended(task.trial_id, record)

    # -- what follows

    @property
    def present_code(self) -> str:
        """Digest of the code that trains."""
        return self.plan.workload.code.digests()[0]

    def completed(self, running: RunningTask, record: AttemptRecord) -> AttemptRecord:
        """The record with what the worker does not know."""
        if record.state is State.STOPPED and not record.metrics:
            record = replace(record, metrics=running.metrics)
        environment = {"code": self.present_code, **record.environment}
        if running.trial.data_digest:
            environment["data"] = running.trial.data_digest
        record = replace(record, environment=environment)
        if record.state is State.TIMED_OUT and record.error is None:
            record = replace(record, error=self.budget.time_limit_error)
        return record

    def retry(self, running: RunningTask, record: AttemptRecord, *, counts: bool = True) -> bool:
        """Queue a failed trial again if `RETRY_POLICIES` and `retries` allow it; returns whether they do.

        A failure that does not count is no reason against another attempt. One of the executor's that repeats ends
        the executor.
        """
        if self.halted:
            return False
        if not counts:
            self.queue.add_retry(running.trial, self.clock())
            return True
        history = self.history.setdefault(record.trial_id, RetryHistory())
        back_off_seconds = history.add(record, self.policy.retries)
        if back_off_seconds is None:
            return False
        if RETRY_POLICIES[record.state].larger_share and not self.packing.enlarge(running.trial, running.task.share):
            return False
        self.queue.add_retry(running.trial, self.clock() + back_off_seconds)
        return True

    def draw(self, growing_plan: GrowingPlan) -> None:
        """Queue the next trial of a plan that grows; the recorded plan has it before it starts."""
        trial = growing_plan.next_trial(self.outcomes)
        if growing_plan.record is not self.plan.record:
            self.adopt(growing_plan)
        if trial is None:
            return
        plan = self.plan.record
        known = self.store.outcomes([trial.trial_id], plan=plan).get(trial.trial_id)
        if known is not None and plan.ends_trial(known.state) and plan.accepts_code(trial.trial_id, known.code):
            self.reuse(growing_plan, known)
        else:
            self.queue.add(trial)

    def reuse(self, growing_plan: GrowingPlan, known: AttemptRecord) -> None:
        """Take the outcome of a drawn trial from the run directory, where another sweep or an earlier plan left it."""
        for point in self.store.points(known.trial_id):
            growing_plan.should_stop(known.trial_id, point)
        self.outcomes[known.trial_id] = known
        growing_plan.ended(known.trial_id, known)

    def adopt(self, growing_plan: GrowingPlan) -> None:
        """Record the plan as it has grown."""
        self.plan = replace(self.plan, record=growing_plan.record, trials=tuple(growing_plan.trials.values()))
        self.store.write_sweep(self.plan.record)
        for tracker in self.trackers:
            tracker.planned(self.plan.record)
