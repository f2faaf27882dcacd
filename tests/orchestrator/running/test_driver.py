"""The driver: runs what is left, records before it tells trackers, and follows the policy for each failure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import SweepError
from orchestrator.planning.plan import SweepPlan, Trial
from orchestrator.running.driver import Driver, RunPolicy
from orchestrator.running.executors.base import ExecutorLostError, SweepController
from orchestrator.running.task import Share, Task
from orchestrator.spec.blocks import Budget, Resources, Retries
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.sweep_record import SweepRecord
from trainer.config import Runtime, TrainConfig

MakeRecord = Callable[..., AttemptRecord]
Ending = Callable[[Task], State]


class Clock:
    """A clock that the executor advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """An executor that starts all that fits, then lets the oldest task report twice and end as `ending` says."""

    def __init__(
        self,
        make_record: MakeRecord,
        ending: Ending = lambda task: State.DONE,
        *,
        capacity: Share | None = None,
        clock: Clock | None = None,
        seconds: float = 1.0,
        probe_gb: float = 20.0,
        node: str = "",
    ) -> None:
        self.make_record = make_record
        self.ending = ending
        self.capacity = capacity or Share(cpus=1)
        self.clock = clock or Clock()
        self.seconds = seconds
        self.probe_gb = probe_gb
        self.node = node
        self.tasks: list[Task] = []
        self.most = 0
        self.most_probed = 100
        """A probe of more shapes dies."""
        self.interrupt_after: int | None = None

    def run(self, controller: SweepController) -> None:
        alive: list[Task] = []
        while not controller.finished:
            room = self.capacity
            for task in alive:
                room = room - task.share
            task = controller.next_task(room)
            if task is not None:
                if len(self.tasks) == self.interrupt_after:
                    raise KeyboardInterrupt
                self.tasks.append(task)
                alive.append(task)
                self.most = max(self.most, len([item for item in alive if not item.probe]))
                controller.started(task)
            elif alive:
                self.finish(controller, alive.pop(0))
            else:
                self.clock.now += 1.0

    def finish(self, controller: SweepController, task: Task) -> None:
        if task.probe:
            state = State.LOST if len(task.probe) > self.most_probed else State.DONE
            record = self.make_record(task.trial_id, attempt=0, state=state)
            if state is State.DONE:
                found = {"peak": self.probe_gb, "device": 100.0}
                names = [(name, index) for name in found for index in range(len(task.probe))]
                metrics = {f"probe/{name}_memory_gb/{index}": found[name] for name, index in names}
                record = replace(record, metrics=metrics)
            controller.ended(task, record)
            return
        for step in (1, 2):
            self.clock.now += self.seconds / 2
            controller.reported(task, Point(step=step, metrics={"train/loss": 1 / step}, attempt=task.attempt))
        stop_state = controller.stop_state(task)
        state = stop_state or self.ending(task)
        record = self.make_record(task.trial_id, attempt=task.attempt, state=state)
        if stop_state is not None:
            record = replace(record, error=None)
        if state is State.DONE:
            record = replace(record, metrics={"final/miou": 0.5})
        controller.ended(task, replace(record, environment={"node": self.node} if self.node else {}))


class CheckingTracker:
    """A tracker that checks, when a trial ends, that the store has its record already."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.calls: list[str] = []
        self.stored_before_told: list[bool] = []

    def planned(self, sweep: SweepRecord) -> None:
        self.calls.append("planned")

    def begin(self, sweep: SweepRecord, outcomes: object) -> None:
        self.calls.append("begin")

    def started(self, task: Task) -> None:
        self.calls.append("started")

    def reported(self, task: Task, point: Point) -> None:
        self.calls.append("reported")

    def ended(self, task: Task, record: AttemptRecord) -> None:
        self.calls.append("ended")
        kept = self.store.outcomes([task.trial_id])
        self.stored_before_told.append(kept == {task.trial_id: record})

    def finish(self, outcomes: object, artifacts: object, completed: bool) -> None:
        self.calls.append("finish")


@pytest.fixture
def plan(sweep: SweepRecord) -> SweepPlan:
    ids = dict.fromkeys(cell.trial_id for cell in sweep.cells)
    return SweepPlan(record=sweep, trials=tuple(Trial(trial_id=key, config=TrainConfig()) for key in ids))


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "runs")


def many(sweep: SweepRecord, count: int) -> SweepPlan:
    """A plan of `count` trials."""
    return SweepPlan(
        record=sweep, trials=tuple(Trial(trial_id=f"t{number:02d}", config=TrainConfig()) for number in range(count))
    )


def ids(tasks: Sequence[Task]) -> list[str]:
    return [task.trial_id for task in tasks]


def test_the_store_has_everything_before_a_tracker_is_told(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    tracker = CheckingTracker(store)
    outcomes = Driver(store, [tracker]).run(plan, {}, Runtime(), lambda: Scripted(make_record))
    assert set(outcomes) == {trial.trial_id for trial in plan.trials}
    assert tracker.stored_before_told == [True] * 4
    assert tracker.calls[:5] == ["begin", "started", "reported", "reported", "ended"]
    assert [point.step for point in store.points("base0")] == [0, 1, 2]


def test_only_what_is_left_runs_and_without_that_no_executor_is_opened(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    known = {"base0": make_record("base0"), "full0": make_record("full0", state=State.USER_ERROR)}
    assert [trial.trial_id for trial in plan.unfinished(known)] == ["full0", "base1", "full1"]
    scripted = Scripted(make_record)
    outcomes = Driver(store, []).run(plan, known, Runtime(), lambda: scripted)
    assert ids(scripted.tasks) == ["full0", "base1", "full1"]

    def refuse() -> Scripted:
        raise AssertionError("there is nothing to run")

    assert Driver(store, []).run(plan, outcomes, Runtime(), refuse) == outcomes


def test_selected_trials_run_alone(plan: SweepPlan, store: RecordStore, make_record: MakeRecord) -> None:
    scripted = Scripted(make_record)
    Driver(store, []).run(plan, {}, Runtime(), lambda: scripted, selected=frozenset({"full1"}))
    assert ids(scripted.tasks) == ["full1"]


def test_a_stopped_trial_has_ended_for_a_search_and_is_left_to_run_for_an_ablation(
    plan: SweepPlan, make_record: MakeRecord
) -> None:
    stopped = {trial.trial_id: make_record(trial.trial_id, state=State.STOPPED) for trial in plan.trials}
    assert plan.unfinished(stopped) == plan.trials
    search = replace(plan, record=replace(plan.record, method="tpe"))
    assert search.unfinished(stopped) == ()


def test_an_interrupt_passes_through_and_what_has_ended_is_stored(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    driver, scripted = Driver(store, []), Scripted(make_record)
    scripted.interrupt_after = 2
    with pytest.raises(KeyboardInterrupt):
        driver.run(plan, {}, Runtime(), lambda: scripted)
    names = [trial.trial_id for trial in plan.trials]
    assert set(store.outcomes(names)) == set(names[:2])
    assert set(driver.outcomes) == set(names[:2])


def test_the_first_interrupt_starts_no_more_trials_and_cancels_the_running_ones(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    driver = Driver(store, [])

    def interrupt(task: Task) -> State:
        driver.interrupt()
        return State.DONE

    scripted = Scripted(make_record, interrupt, capacity=Share(cpus=2))
    driver.run(plan, {}, Runtime(), lambda: scripted)
    assert ids(scripted.tasks) == ["base0", "full0"]
    assert [driver.outcomes[key].state for key in ("base0", "full0")] == [State.DONE, State.CANCELLED]


def test_an_interrupt_before_the_first_trial_runs_none(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    """Seen: a signal emptied a queue that was filled afterwards, and the sweep waited for ever."""
    driver, scripted = Driver(store, []), Scripted(make_record)
    driver.interrupt()
    assert driver.run(plan, {}, Runtime(), lambda: scripted) == {}
    assert scripted.tasks == []


def test_a_sweep_whose_executor_died_stops_and_says_so(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    class Dying(Scripted):
        """Loses its first task and then its cluster."""

        def finish(self, controller: SweepController, task: Task) -> None:
            controller.ended(task, self.make_record(task.trial_id, attempt=task.attempt, state=State.LOST))
            raise ExecutorLostError("it died")

    driver = Driver(store, [])
    outcomes = driver.run(plan, {}, Runtime(), lambda: Dying(make_record))
    assert {key: record.state for key, record in outcomes.items()} == {"base0": State.LOST}
    assert driver.halted == "it died"
    assert driver.finished, "the lost trial is not retried"


@pytest.mark.parametrize("state", [State.LOST, State.OUT_OF_MEMORY])
def test_an_attempt_that_the_executor_has_lost_costs_no_retry_and_no_time(
    state: State, plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    class Failing(Scripted):
        """Fails four times; the task that it has and has not started is returned."""

        def finish(self, controller: SweepController, task: Task) -> None:
            if task.attempt > 4 or task.trial_id != "base0":
                super().finish(controller, task)
                return
            other = controller.next_task(self.capacity)
            record = self.make_record(task.trial_id, attempt=task.attempt, state=state)
            controller.ended(task, record, counts=False)
            if other is not None:
                controller.returned(other)
                returned.append(other.trial_id)

    returned: list[str] = []
    scripted = Failing(make_record)
    policy = RunPolicy(retries=Retries(lost=0, out_of_memory=0, back_off_seconds=3600))
    outcomes = Driver(store, [], policy).run(plan, {}, Runtime(), lambda: scripted)
    assert {record.state for record in outcomes.values()} == {State.DONE}
    assert [record.state for record in store.attempts("base0")] == [state] * 4 + [State.DONE]
    assert returned
    assert all(len(store.attempts(trial.trial_id)) == 1 for trial in plan.trials if trial.trial_id != "base0")


def test_a_probe_that_the_executor_has_lost_is_repeated(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    class Failing(Scripted):
        """Fails in the first probe."""

        probes = 0

        def finish(self, controller: SweepController, task: Task) -> None:
            self.probes += bool(task.probe)
            if task.probe and self.probes == 1:
                controller.ended(task, self.make_record(task.trial_id, attempt=0, state=State.LOST), counts=False)
            else:
                super().finish(controller, task)

    scripted = Failing(make_record, capacity=Share(cpus=16, gpus=1))
    outcomes = Driver(store, []).run(plan, {}, Runtime(), lambda: scripted)
    assert scripted.probes == 2
    assert {record.state for record in outcomes.values()} == {State.DONE}


def test_the_next_command_retries_a_failed_trial_with_the_next_attempt_number(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    store.start("base0", 1, {}, time=1.0)
    store.end(make_record("base0", state=State.USER_ERROR, attempt=1))
    scripted = Scripted(make_record)
    Driver(store, []).run(plan, store.outcomes(["base0"]), Runtime(), lambda: scripted)
    assert [task.attempt for task in scripted.tasks] == [2, 1, 1, 1]


@pytest.mark.parametrize("state", [State.DIVERGED, State.USER_ERROR, State.DATA_ERROR, State.TIMED_OUT])
def test_a_failure_that_would_repeat_is_not_retried(
    state: State, plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, lambda task: state if task.trial_id == "full0" else State.DONE)
    Driver(store, []).run(plan, {}, Runtime(), lambda: scripted)
    assert ids(scripted.tasks) == ["base0", "full0", "base1", "full1"]


def test_a_lost_trial_avoids_its_node_and_its_back_off_doubles(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    clock = Clock()
    starts: list[float] = []

    def ending(task: Task) -> State:
        if task.trial_id != "full0":
            return State.DONE
        starts.append(clock.now)
        return State.LOST if task.attempt < 4 else State.DONE

    scripted = Scripted(make_record, ending, clock=clock, node="n1", seconds=0.0)
    policy = RunPolicy(retries=Retries(lost=3, back_off_seconds=10))
    outcomes = Driver(store, [], policy, clock=clock).run(plan, {}, Runtime(), lambda: scripted)
    again = [task for task in scripted.tasks if task.trial_id == "full0"]
    assert [task.attempt for task in again] == [1, 2, 3, 4]
    assert [task.avoid_nodes for task in again] == [(), ("n1",), ("n1",), ("n1",)]
    assert outcomes["full0"].state is State.DONE
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses == pytest.approx([10, 20, 40], abs=1)


def test_the_number_of_retries_is_limited(plan: SweepPlan, store: RecordStore, make_record: MakeRecord) -> None:
    scripted = Scripted(make_record, lambda task: State.LOST if task.trial_id == "full0" else State.DONE)
    policy = RunPolicy(retries=Retries(lost=2, back_off_seconds=1))
    outcomes = Driver(store, [], policy, clock=scripted.clock).run(plan, {}, Runtime(), lambda: scripted)
    assert ids(scripted.tasks).count("full0") == 3
    assert outcomes["full0"].state is State.LOST


def test_three_consecutive_failures_with_one_signature_end_a_sweep_of_fifty(
    sweep: SweepRecord, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, lambda task: State.USER_ERROR)
    driver = Driver(store, [])
    driver.run(many(sweep, 50), {}, Runtime(), lambda: scripted)
    assert len(scripted.tasks) == 3
    assert driver.halted.startswith("max_consecutive_failures: 3 consecutive trials failed at the same place")
    assert Driver(store, [], RunPolicy(max_consecutive_failures=0)).halted == ""


def test_packing_probes_a_shape_once_and_then_runs_four_quarters(
    sweep: SweepRecord, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, capacity=Share(cpus=16, gpus=1), probe_gb=20.0)
    Driver(store, []).run(many(sweep, 8), {}, Runtime(), lambda: scripted)
    assert [len(task.probe) for task in scripted.tasks] == [1] + [0] * 8
    assert scripted.tasks[0].share.gpus == 1.0
    assert {task.share.gpus for task in scripted.tasks[1:]} == {0.25}
    assert scripted.most == 4, "a fifth of a GPU each: four at a time"
    assert store.outcomes(["t00"])["t00"].attempt == 1, "a probe is not an attempt"


@pytest.mark.parametrize(("given", "told"), [("runs", "{here}/runs"), ("memory://bucket/runs", "memory://bucket/runs")])
def test_a_worker_with_another_current_folder_is_told_where_the_run_directory_is(
    given: str, told: str, plan: SweepPlan, make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scripted = Scripted(make_record)
    Driver(RecordStore(given), []).run(plan, {}, Runtime(), lambda: scripted)
    assert {task.run_dir for task in scripted.tasks} == {told.format(here=tmp_path)}
    assert all(task.workdir.is_absolute() for task in scripted.tasks)


def shapes(count: int) -> tuple[Trial, ...]:
    """Two trials of each of `count` shapes."""
    config = TrainConfig()
    sizes = [replace(config, schedule=replace(config.schedule, batch_size=size)) for size in range(2, count + 2)]
    return tuple(Trial(trial_id=f"b{size}s{seed}", config=item) for size, item in enumerate(sizes) for seed in (0, 1))


@pytest.mark.parametrize(("gpus", "probed"), [(1, [5]), (2, [3, 2]), (8, [1] * 5)])
def test_the_shapes_of_a_sweep_are_probed_at_once_and_then_run_side_by_side(
    gpus: int, probed: list[int], sweep: SweepRecord, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, capacity=Share(cpus=64, gpus=gpus), probe_gb=20.0)
    outcomes = Driver(store, []).run(SweepPlan(record=sweep, trials=shapes(5)), {}, Runtime(), lambda: scripted)
    assert {record.state for record in outcomes.values()} == {State.DONE}
    found = [len(task.probe) for task in scripted.tasks]
    assert [count for count in found if count] == probed
    assert scripted.most == min(10, 4 * gpus), "a fifth of a GPU each, whatever their shapes"


def test_when_a_common_probe_dies_each_shape_is_probed_by_itself(
    sweep: SweepRecord, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, capacity=Share(cpus=16, gpus=1), probe_gb=20.0)
    scripted.most_probed = 1
    outcomes = Driver(store, []).run(SweepPlan(record=sweep, trials=shapes(3)), {}, Runtime(), lambda: scripted)
    assert {record.state for record in outcomes.values()} == {State.DONE}
    assert [count for task in scripted.tasks if (count := len(task.probe))] == [3, 1, 1, 1]
    assert {task.share.gpus for task in scripted.tasks if not task.probe} == {0.25}


def test_a_trial_without_a_share_of_a_gpu_runs_on_the_cpu(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    for gpus, wanted, device in ((0.0, "auto", "cpu"), (1.0, "auto", "cuda"), (1.0, "cpu", "cpu")):
        scripted = Scripted(make_record, capacity=Share(cpus=1, gpus=1))
        policy = RunPolicy(resources=Resources(gpus=gpus))
        driver = Driver(RecordStore(store.location / f"{wanted}{gpus}"), [], policy)
        driver.run(plan, {}, Runtime(device=wanted), lambda: scripted)  # noqa: B023
        assert {task.runtime.device for task in scripted.tasks} == {device}


def test_out_of_memory_doubles_the_share_of_its_shape_only(
    sweep: SweepRecord, store: RecordStore, make_record: MakeRecord
) -> None:
    small = TrainConfig()
    large = replace(small, schedule=replace(small.schedule, batch_size=small.schedule.batch_size * 2))
    trials = tuple(
        Trial(trial_id=f"{name}{number}", config=config)
        for number in range(2)
        for name, config in (("small", small), ("large", large))
    )

    def ending(task: Task) -> State:
        grows = task.trial_id.startswith("large") and task.share.gpus < 0.5
        return State.OUT_OF_MEMORY if grows else State.DONE

    scripted = Scripted(make_record, ending, capacity=Share(cpus=16, gpus=1), probe_gb=20.0)
    plan = SweepPlan(record=sweep, trials=trials)
    outcomes = Driver(store, []).run(plan, {}, Runtime(), lambda: scripted)
    assert {record.state for record in outcomes.values()} == {State.DONE}
    shares = {(task.trial_id, task.share.gpus) for task in scripted.tasks if not task.probe}
    assert shares == {
        ("small0", 0.25),
        ("small1", 0.25),
        ("large0", 0.25),
        ("large1", 0.25),
        ("large0", 0.5),
        ("large1", 0.5),
    }


def test_a_trial_too_large_for_the_whole_gpu_fails(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, lambda task: State.OUT_OF_MEMORY, capacity=Share(cpus=16, gpus=1))
    Driver(store, []).run(plan, {}, Runtime(), lambda: scripted, selected=frozenset({"base0"}))
    assert [task.share.gpus for task in scripted.tasks] == [1.0, 0.25, 0.5, 1.0]


def test_a_budget_that_is_used_up_starts_no_more_trials_and_cancels_the_running_ones(
    sweep: SweepRecord, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, capacity=Share(cpus=2), seconds=1800)
    policy = RunPolicy(budget=Budget(wall_hours=1))
    driver = Driver(store, [], policy, clock=scripted.clock)
    outcomes = driver.run(many(sweep, 10), {}, Runtime(), lambda: scripted)
    assert driver.halted == "budget.wall_hours: the limit of 1 hours is reached"
    states = [outcomes[key].state for key in sorted(outcomes)]
    assert states == [State.DONE, State.CANCELLED, State.CANCELLED]


def test_lost_attempts_of_earlier_commands_count_for_the_budget(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    for attempt in (1, 2):
        record = replace(make_record("base0", state=State.LOST, attempt=attempt), ended_at=100.0 + 3600)
        store.end(replace(record, resources={"gpus": 1.0}))
    policy = RunPolicy(budget=Budget(gpu_hours=2))
    driver = Driver(store, [], policy)
    driver.run(plan, store.outcomes(["base0"]), Runtime(), lambda: Scripted(make_record))
    assert driver.halted == "budget.gpu_hours: 2.00 of 2 GPU-hours are used"


def test_a_trial_that_takes_too_long_is_timed_out(plan: SweepPlan, store: RecordStore, make_record: MakeRecord) -> None:
    scripted = Scripted(make_record, seconds=7200)
    policy = RunPolicy(budget=Budget(trial_hours=1))
    outcomes = Driver(store, [], policy, clock=scripted.clock).run(plan, {}, Runtime(), lambda: scripted)
    assert {record.state for record in outcomes.values()} == {State.TIMED_OUT}
    errors = {record.error for record in outcomes.values()}
    assert [error.message for error in errors if error] == ["the attempt took longer than budget.trial_hours (1)"]


def test_a_cluster_that_is_too_small_is_an_error_with_the_numbers(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    policy = RunPolicy(resources=Resources(cpus=4, gpus=1.0))
    scripted = Scripted(make_record, capacity=Share(cpus=2))
    with pytest.raises(SweepError, match="a trial needs 4 CPUs and 1 GPUs, but the cluster has only 2 CPUs and 0 GPUs"):
        Driver(store, [], policy).run(plan, {}, Runtime(), lambda: scripted)


def test_when_no_node_is_left_the_sweep_waits_a_minute_and_stops(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record)
    driver = Driver(store, [], clock=scripted.clock)

    def ending(task: Task) -> State:
        scripted.capacity = Share(cpus=0)
        return State.DONE

    scripted.ending = ending
    outcomes = driver.run(plan, {}, Runtime(), lambda: scripted)
    assert set(outcomes) == {"base0"}
    assert driver.halted == "the cluster is too small for any trial: only 0 CPUs and 0 GPUs are left"
    assert 60 < scripted.clock.now < 70


def test_the_last_metrics_of_a_stopped_trial_are_recorded(
    plan: SweepPlan, store: RecordStore, make_record: MakeRecord
) -> None:
    scripted = Scripted(make_record, lambda task: State.STOPPED)
    outcomes = Driver(store, []).run(plan, {}, Runtime(), lambda: scripted)
    assert outcomes["base0"].metrics == {"train/loss": 0.5}
