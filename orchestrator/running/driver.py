"""Driver: runs what is left of a plan and keeps what happens; the store first, then everybody who watches.

It hands out tasks, hears how they end, and decides what that leads to: the table of failures, the budget, the shares
of a GPU and a search's study are asked in turn. Executors only carry out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.errors import SweepError
from orchestrator.planning.adaptive.base import GrowingPlan
from orchestrator.planning.cost_forecast import CostBook
from orchestrator.planning.identity import canonical
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.planning.shape import shape_of
from orchestrator.running.budget import Spending
from orchestrator.running.executors.base import Executor, ExecutorLostError
from orchestrator.running.failures import POLICIES, FailureStreak
from orchestrator.running.gpu_packing import Need, Packing
from orchestrator.running.task import Share, Task
from orchestrator.running.tracker import Tracker
from orchestrator.running.trial_queue import TrialQueue
from orchestrator.spec.blocks import Budget, Resources, Retries
from orchestrator.store.record_store import RecordStore
from orchestrator.store.records import SEARCHES, AttemptRecord, Point, State
from orchestrator.store.run_directory import RunDirectory
from trainer.config import RESULT_VERSION, Runtime

__all__ = ["Driver", "Rules", "left_to_run"]

ROOMLESS_SECONDS = 60.0
"""How long a sweep waits for nodes to come back when none is left that can run a trial."""


def left_to_run(plan: SweepPlan, outcomes: Mapping[str, AttemptRecord]) -> tuple[Trial, ...]:
    """Trials of the plan that no attempt has brought to its end, in the plan's order.

    A trial that a scheduler stopped has come to its end as far as a search is concerned; a row of an ablation that
    shares it has not.
    """
    ends = (State.DONE, State.STOPPED) if plan.record.method in SEARCHES else (State.DONE,)
    settled = {trial_id for trial_id, record in outcomes.items() if record.state in ends}
    return tuple(trial for trial in plan.trials if trial.trial_id not in settled)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What the search space says about running it."""

    resources: Resources = Resources()
    retries: Retries = Retries()
    budget: Budget = Budget()
    max_consecutive_failures: int = 3
    """Failures at the same place in a row that end the sweep; 0: never."""


@dataclass(slots=True)
class Running:
    """A task that an executor has."""

    task: Task
    trial: Trial
    verdict: State | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """Latest value of each metric."""


@dataclass(slots=True)
class History:
    """What earlier attempts of this command say about a trial's next one."""

    failures: dict[State, int] = field(default_factory=dict)
    lost_on: tuple[str, ...] = ()


class Driver:
    """The one writer of the store while a sweep runs, and the `Director` its executor works for."""

    def __init__(
        self,
        store: RecordStore,
        trackers: Sequence[Tracker],
        rules: Rules | None = None,
        *,
        costs: CostBook | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`costs` learns what finished trials took."""
        self.store = store
        self.costs = costs
        self.trackers = tuple(trackers)
        self.rules = rules or Rules()
        self.clock = clock
        self.outcomes: dict[str, AttemptRecord] = {}
        self.halted = ""
        """Why nothing is started any more; empty while all is well."""
        self.interrupted = False
        self.queue = TrialQueue()
        self.running: dict[str, Running] = {}
        self.history: dict[str, History] = {}
        self.streak = FailureStreak(self.rules.max_consecutive_failures)
        self.packing = Packing(cpus=self.rules.resources.cpus, gpus=self.rules.resources.gpus)
        self.shapes: dict[str, str] = {}
        self.roomless_since: float | None = None
        self.growing_plan: GrowingPlan | None = None
        self.source: GrowingPlan | None = None
        """The growing_plan while it may draw; None where only chosen trials run."""

    def run(
        self,
        plan: SweepPlan,
        outcomes: Mapping[str, AttemptRecord],
        runtime: Runtime,
        executor: Callable[[], Executor],
        growing_plan: GrowingPlan | None = None,
        chosen: frozenset[str] | None = None,
    ) -> dict[str, AttemptRecord]:
        """Run the trials of `plan` that `outcomes` lacks, and those `growing_plan` draws; returns all outcomes.

        They are by trial id. `chosen` leaves only trials with these ids, and draws none. `executor` is called only when
        there is something to run. KeyboardInterrupt passes through: all that ended is kept, and the same call goes on
        from there. Raises SweepError when a trial fits nowhere.
        """
        self.plan, self.outcomes, self.runtime = plan, dict(outcomes), runtime
        self.growing_plan = growing_plan
        waiting = {trial.trial_id: trial for trial in left_to_run(plan, outcomes)}
        if growing_plan is not None:
            waiting.update({trial.trial_id: trial for trial in growing_plan.resume(outcomes)})
            self.grow(growing_plan)
        if chosen is not None:
            waiting = {trial_id: trial for trial_id, trial in waiting.items() if trial_id in chosen}
        self.source = growing_plan if chosen is None else None
        self.queue = TrialQueue(waiting.values())
        self.spending = Spending(self.rules.budget, self.earlier_attempts(), self.clock())
        for tracker in self.trackers:
            tracker.begin(self.plan.record, outcomes)
        if not self.finished:
            self.executor = executor()
            self.refuse_what_fits_nowhere()
            try:
                self.executor.run(self)
            except ExecutorLostError as error:
                self.halt(str(error))
        return self.outcomes

    def earlier_attempts(self) -> list[AttemptRecord]:
        """All that earlier commands tried of this plan, where the budget asks for it."""
        if self.rules.budget.gpu_hours is None:
            return []
        ids = [trial.trial_id for trial in self.plan.trials]
        return [record for trial_id in ids for record in RunDirectory(self.store.run_dir).attempts(trial_id)]

    def finish(self, artifacts: Mapping[str, Path], *, completed: bool) -> None:
        """Tell the trackers that the sweep is over, with the files written for it."""
        if self.costs is not None:
            self.costs.save()
        for tracker in self.trackers:
            tracker.finish(self.outcomes, artifacts, completed)

    def halt(self, reason: str) -> None:
        """Start nothing any more, and let what runs end at its next report."""
        self.halted = self.halted or reason
        self.queue.clear()

    def interrupt(self) -> None:
        """Halt because the user says so. May be called from a signal handler."""
        self.interrupted = True
        self.halt("interrupted")

    # -- what the executor asks

    def next_task(self, room: Share) -> Task | None:
        """The next attempt that fits into `room`; None when nothing is to start now."""
        if not self.halted and (reason := self.spending.spent(self.clock())):
            self.halt(reason)
        if self.halted:
            return None
        capacity = self.executor.capacity
        if self.source is not None and not len(self.queue) and self.least(capacity).fits(room):
            self.draw(self.source)
        trial = self.queue.take(self.clock(), lambda trial: self.suits(trial, capacity, room))
        if trial is None:
            self.give_up_what_fits_nowhere(capacity)
            return None
        share = self.packing.share(self.shape(trial), capacity)
        task = self.task(trial, share or self.whole(), probe=share is None)
        self.running[trial.trial_id] = Running(task, trial)
        return task

    @property
    def finished(self) -> bool:
        """Nothing runs, nothing waits, and nothing is to be drawn."""
        if self.running or len(self.queue):
            return False
        return self.source is None or bool(self.halted) or self.source.exhausted

    def verdict(self, task: Task) -> State | None:
        """Whether a running task is to end, and as what."""
        running = self.running.get(task.trial_id)
        if running is None:
            return None
        if running.verdict is None:
            now = self.clock()
            if self.spending.overdue(task.trial_id, now):
                running.verdict = State.TIMED_OUT
            elif self.halted:
                running.verdict = State.CANCELLED
            elif reason := self.spending.spent(now):
                self.halt(reason)
                running.verdict = State.CANCELLED
        return running.verdict

    # -- what the executor tells

    def started(self, task: Task) -> None:
        """Keep the start, hand it on."""
        if task.probe:
            return
        self.spending.started(task.trial_id, task.share.gpus, self.clock())
        facts = {"data": self.running[task.trial_id].trial.data_digest, "result_version": RESULT_VERSION}
        self.store.start(task.trial_id, task.attempt, canonical(task.config), time.time(), facts)
        for tracker in self.trackers:
            tracker.started(task)

    def reported(self, task: Task, point: Point) -> None:
        """Keep the point, hand it on."""
        running = self.running[task.trial_id]
        running.metrics.update(point.metrics)
        self.store.append(task.trial_id, point)
        for tracker in self.trackers:
            tracker.reported(task, point)
        if self.growing_plan is not None and self.growing_plan.stops(task.trial_id, point):
            running.verdict = running.verdict or State.STOPPED

    def ended(self, task: Task, record: AttemptRecord) -> None:
        """Keep the record, durably, before anybody hears of it; then see what it leads to."""
        running = self.running.pop(task.trial_id)
        if task.probe:
            self.learn(running, record)
            return
        if record.state is State.STOPPED and not record.metrics:
            record = replace(record, metrics=running.metrics)
        if running.trial.data_digest:
            record = replace(record, environment={**record.environment, "data": running.trial.data_digest})
        if record.state is State.TIMED_OUT and record.error is None:
            record = replace(record, error=self.spending.overrun)
        self.store.end(record)
        self.outcomes[task.trial_id] = record
        self.spending.ended(task.trial_id, record)
        if self.costs is not None:
            self.costs.note(task.config, record, task.workdir)
        for tracker in self.trackers:
            tracker.ended(task, record)
        self.streak.note(record)
        if self.streak.broken:
            self.halt(
                f"max_consecutive_failures: {self.streak.count} trials in a row failed at the same place "
                f"(signature {self.streak.signature}); mend it and run the same command again"
            )
        if (
            not self.tries_again(running, record)
            and self.growing_plan is not None
            and record.state is not State.CANCELLED
        ):
            self.growing_plan.ended(task.trial_id, record)

    # -- what follows from it

    def tries_again(self, running: Running, record: AttemptRecord) -> bool:
        """Put a failed trial back where its class and `retries` say so."""
        policy = POLICIES.get(record.state)
        if self.halted or policy is None or policy.retries is None:
            return False
        history = self.history.setdefault(record.trial_id, History())
        count = history.failures.get(record.state, 0) + 1
        history.failures[record.state] = count
        retries = self.rules.retries
        if count > getattr(retries, policy.retries):
            return False
        if policy.larger_share and not self.packing.enlarge(self.shape(running.trial), running.task.share):
            return False
        pause = 0.0
        if policy.elsewhere:
            pause = retries.back_off_seconds * 2 ** (count - 1)
            node = record.environment.get("node")
            history.lost_on = tuple(dict.fromkeys([*history.lost_on, *([node] if node else [])]))
        self.queue.put_back(running.trial, self.clock() + pause)
        return True

    def learn(self, running: Running, record: AttemptRecord) -> None:
        """A probe is over: its shape has a share now, and the trial that waited for it comes next."""
        metrics = record.metrics
        need = None
        if record.state is State.DONE and "probe/peak_memory_gb" in metrics:
            need = Need(peak_gb=metrics["probe/peak_memory_gb"], device_gb=metrics["probe/device_memory_gb"])
        self.packing.learn(self.shape(running.trial), need)
        if not self.halted:
            self.queue.put_back(running.trial, self.clock())

    def draw(self, growing_plan: GrowingPlan) -> None:
        """Put the next trial of an open plan on the queue; it is in the store's promise before it starts."""
        trial = growing_plan.draw(self.outcomes)
        if growing_plan.record is not self.plan.record:
            self.grow(growing_plan)
        if trial is not None:
            self.queue.add(trial)

    def grow(self, growing_plan: GrowingPlan) -> None:
        """Take over what was added to the plan."""
        self.plan = SweepPlan(record=growing_plan.record, trials=tuple(growing_plan.trials.values()))
        self.store.write_sweep(self.plan.record)
        for tracker in self.trackers:
            tracker.planned(self.plan.record)

    # -- shares

    def shape(self, trial: Trial) -> str:
        """The trial's shape, computed once."""
        if trial.trial_id not in self.shapes:
            self.shapes[trial.trial_id] = shape_of(trial.config)
        return self.shapes[trial.trial_id]

    def whole(self) -> Share:
        """What a probe takes: all of a GPU."""
        return Share(cpus=self.rules.resources.cpus, gpus=1.0)

    def least(self, capacity: Share) -> Share:
        """What a trial takes at least."""
        gpus = self.rules.resources.gpus
        known = min(self.packing.known.values(), default=1.0)
        return Share(cpus=self.rules.resources.cpus, gpus=float(gpus) if gpus != "auto" else min(known, capacity.gpus))

    def suits(self, trial: Trial, capacity: Share, room: Share) -> bool:
        """Whether a trial can start in `room`; one whose shape is being probed waits."""
        shape = self.shape(trial)
        share = self.packing.share(shape, capacity)
        if share is None:
            probed = any(item.task.probe and self.shape(item.trial) == shape for item in self.running.values())
            return not probed and self.whole().fits(room)
        return share.fits(room)

    def refuse_what_fits_nowhere(self) -> None:
        """Raise SweepError when the cluster has no room for a single trial as the search space wants it."""
        capacity = self.executor.capacity
        least = self.least(capacity)
        if not least.fits(capacity):
            raise SweepError(
                f"resources: a trial wants {least.cpus:g} CPUs and {least.gpus:g} GPUs, the cluster has "
                f"{capacity.cpus:g} and {capacity.gpus:g}; lower `resources` in the search space"
            )

    def give_up_what_fits_nowhere(self, capacity: Share) -> None:
        """Halt when trials wait, nothing runs, and the cluster has had no room for any of them for a minute."""
        if self.running or not self.queue.ready or self.least(capacity).fits(capacity):
            self.roomless_since = None
            return
        self.roomless_since = self.roomless_since or self.clock()
        if self.clock() - self.roomless_since > ROOMLESS_SECONDS:
            self.halt(f"the cluster has {capacity.cpus:g} CPUs and {capacity.gpus:g} GPUs left, too little for a trial")

    def task(self, trial: Trial, share: Share, *, probe: bool) -> Task:
        """An attempt at a trial, or a probe of its shape."""
        history = self.history.get(trial.trial_id)
        return Task(
            trial_id=trial.trial_id,
            attempt=0 if probe else self.store.next_attempt(trial.trial_id),
            config=trial.config,
            runtime=replace(self.runtime, device="auto" if share.gpus > 0 else "cpu"),
            workdir=self.store.workdir(trial.trial_id),
            share=share,
            avoid=history.lost_on if history else (),
            run_dir=str(self.store.run_dir),
            probe=probe,
        )
