"""`plan` and `sweep`: what the command line does, for Python.

from orchestrator import plan, sweep
result = sweep("search_spaces/ablation_memory.yaml", seeds=5)
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import SweepError
from orchestrator.planning.cost_forecast import CostBook
from orchestrator.planning.plan import CACHE, SweepPlan, Trial, check_labels, draw_trial, plan_sweep
from orchestrator.running.driver import Driver, Rules, left_to_run
from orchestrator.spec.sweep_spec import SweepSpec, read_spec
from orchestrator.store.backends import LocalFiles, local_folder
from orchestrator.store.records import AttemptRecord, SweepRecord, sweep_key
from orchestrator.tracking.uri import tracking_uri_of

if TYPE_CHECKING:
    from orchestrator.planning.adaptive.base import GrowingPlan
    from orchestrator.running.executors.base import Executor
    from orchestrator.running.tracker import Tracker
    from orchestrator.spec.blocks import Resources
    from orchestrator.spec.distributions import Search
    from orchestrator.store.record_store import RecordStore
    from orchestrator.tracking.follower import Follower
    from trainer.config import Runtime

JOURNAL = "study.journal"
"""File of a search's study, beside the sweep's promise."""

TrackerFactory = Callable[[Sequence[Trial]], Sequence["Tracker"]]
"""Makes the trackers of a sweep from the trials that are to run."""

__all__ = ["RunOptions", "SweepResult", "TrackerFactory", "TrialSelection", "carry_out", "plan", "sweep"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Where a sweep runs, and where what it brings is put."""

    run_dir: str | Path = "runs"
    """The record store: a folder, or a URL such as s3://bucket/prefix."""
    out: Path = Path("reports/out")
    """Tables."""
    tracking_uri: str | None = None
    """MLflow's store; None: the environment's MLFLOW_TRACKING_URI, else sqlite:///mlflow.db."""
    executor: str = "ray"
    """`ray`, or `serial`: in this process."""
    address: str | None = None
    """Ray cluster to join; None: one of its own."""
    max_concurrent: int | None = None
    """Trials at the same time, at most."""
    debug: bool = False
    """With the serial executor: open the debugger where a trial raises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSelection:
    """Some trials of a sweep instead of all: `--only ROW` and `--trial ID`."""

    rows: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    """Ids, or what they begin with."""

    def of(self, plan: SweepPlan) -> frozenset[str]:
        """Their ids. Raises SweepError for a row or an id that the plan does not have."""
        labels = {row.label for row in plan.record.rows}
        for row in self.rows:
            if row not in labels:
                raise SweepError(f"--only {row}: no such row; there are: {', '.join(sorted(labels))}")
        found = {cell.trial_id for cell in plan.record.cells if cell.row in self.rows}
        for text in self.trials:
            matching = {trial.trial_id for trial in plan.trials if trial.trial_id.startswith(text)}
            if len(matching) != 1:
                what = "no trial of this sweep has" if not matching else f"{len(matching)} trials have"
                raise SweepError(f"--trial {text}: {what} this id; `--dry-run --json` lists them")
            found |= matching
        return frozenset(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepResult:
    """What a sweep brought."""

    plan: SweepPlan
    """With all that a search has drawn."""
    outcomes: Mapping[str, AttemptRecord]
    """By trial id, the attempt that counts."""
    files: Mapping[str, Path]
    """Tables by style."""
    halted: str = ""
    """Why the sweep stopped early; empty when it did not."""
    mirror_failure: Exception | None = None
    """Why MLflow did not get everything."""
    mirror_lacks: str = ""
    """What it did not get, `3 trials and the final table`; `orchestrator.commands.sync` delivers it."""

    @property
    def completed(self) -> bool:
        """Every planned trial has come to its end."""
        return not left_to_run(self.plan, self.outcomes) and not self.halted


def plan(
    spec: str | Path,
    *,
    recipe: str | None = None,
    settings: Sequence[str] = (),
    seeds: str | int | None = None,
    run_dir: str | Path = "runs",
) -> SweepPlan:
    """The plan of the search space at `spec`; nothing is run. Raises SpecError, one line per mistake."""
    read = read_spec(Path(spec), recipe=recipe, settings=settings, seeds=seeds)
    return plan_sweep(read, run_dir=local_folder(run_dir))


def sweep(
    spec: str | Path,
    *,
    recipe: str | None = None,
    settings: Sequence[str] = (),
    seeds: str | int | None = None,
    options: RunOptions | None = None,
    trackers: Sequence[Tracker] = (),
) -> SweepResult:
    """Run what is missing of the search space at `spec` and write its tables; `trackers` are told of everything.

    Raises SweepError for a wrong specification, a store in use, a cluster without room; a trial that fails is a
    record in the result.
    """
    options = options or RunOptions()
    read = read_spec(Path(spec), recipe=recipe, settings=settings, seeds=seeds)
    return carry_out(read, plan_sweep(read, run_dir=local_folder(options.run_dir)), options, lambda _: trackers)


def carry_out(
    spec: SweepSpec,
    plan: SweepPlan,
    options: RunOptions,
    make_trackers: TrackerFactory,
    choice: TrialSelection | None = None,
    command: str = "",
) -> SweepResult:
    """Run what is missing of a plan, or of the trials of `choice`, and write the tables.

    `command`: the command line behind it, which `status` shows with what failed.
    """
    from orchestrator.store.git_state import code_state
    from orchestrator.store.record_store import RecordStore
    from orchestrator.tracking.live_table import TableTracker

    plan = replace(plan, record=replace(plan.record, command=command))
    store = RecordStore(options.run_dir)
    with store.lock(), ExitStack() as closing_later:
        growing_plan = growing_plan_of(spec, plan, store)
        known = plan if growing_plan is None else grown(growing_plan, growing_plan.trials)
        candidates = plan if growing_plan is None else grown(growing_plan, growing_plan.candidates)
        chosen = None if choice is None else choice.of(candidates)
        store.write_sweep(known.record)
        outcomes = store.outcomes([trial.trial_id for trial in candidates.trials])
        todo = [trial for trial in left_to_run(known, outcomes) if chosen is None or trial.trial_id in chosen]
        if todo or growing_plan is not None:
            check_labels(spec, plan, run_dir=local_folder(options.run_dir))
        code = code_state()
        if code.diff:
            store.files.write(f"code/{code.digest}.patch", code.diff.encode() + b"\n")
        write = partial(write_tables, out=options.out)
        mirror = open_follower(options, plan.record.name)
        closing_later.callback(mirror.stop)
        resources = spec.resources if options.executor == "ray" else in_this_process(spec.resources)
        rules = Rules(
            resources=resources,
            retries=spec.retries,
            budget=spec.budget,
            max_consecutive_failures=spec.max_consecutive_failures,
        )
        costs = CostBook(local_folder(options.run_dir) / CACHE)
        driver = Driver(store, [mirror, *make_trackers(todo), TableTracker(write)], rules, costs=costs)
        runtime = runtime_of(resources)
        try:
            with gentle_interrupt(driver):
                driver.run(
                    known,
                    outcomes,
                    runtime,
                    partial(get_ready, spec, options, closing_later, mirror),
                    growing_plan,
                    chosen,
                )
        finally:
            files = write(driver.plan.record, driver.outcomes, run_dir=options.run_dir)
            store.compact(driver.plan.record.name)
            result = SweepResult(plan=driver.plan, outcomes=driver.outcomes, files=files, halted=driver.halted)
            driver.finish(files, completed=result.completed)
            mirror.close()
        if driver.interrupted:
            raise KeyboardInterrupt
        return replace(result, mirror_failure=mirror.failure, mirror_lacks=mirror.lacking)


def grown(growing_plan: GrowingPlan, trials: Mapping[str, Trial]) -> SweepPlan:
    """The plan as it has grown so far, with these trials."""
    return SweepPlan(record=growing_plan.record, trials=tuple(trials.values()))


def runtime_of(resources: Resources) -> Runtime:
    """How trials run: as many threads as they hold CPUs, so that they do not fight; the ranks of one divide them."""
    from trainer.config import Runtime

    return Runtime(threads=max(int(resources.cpus) // resources.ranks, 1), ranks=resources.ranks)


def in_this_process(resources: Resources) -> Resources:
    """What trials take when they run here, one after the other: `auto` is a whole GPU where there is one."""
    return replace(resources, gpus=min(visible_gpus(), 1.0)) if resources.gpus == "auto" else resources


def visible_gpus() -> float:
    """GPUs that this process sees."""
    import torch

    return float(torch.cuda.device_count())


def growing_plan_of(spec: SweepSpec, plan: SweepPlan, store: RecordStore) -> GrowingPlan | None:
    """What a plan may grow by while it runs; None for a plan that is complete as it is."""
    if spec.search is not None:
        return open_search(spec, spec.search, plan, store)
    if spec.until is None:
        return None
    from orchestrator.planning.adaptive.seeds import SequentialSeeds
    from reports.decided import open_rows

    return SequentialSeeds(plan, spec.until, partial(open_rows, first=spec.until.first, last=spec.until.last))


def open_search(spec: SweepSpec, search: Search, plan: SweepPlan, store: RecordStore) -> GrowingPlan:
    """The search with its study as earlier commands left it."""
    from orchestrator.planning.adaptive.search import SearchPlan
    from orchestrator.planning.adaptive.study import Study

    name = plan.record.name
    run_dir = local_folder(store.run_dir)
    journal = run_dir / sweep_key(name, JOURNAL)
    keep = partial(keep_journal, store, name, journal)
    if not isinstance(store.files, LocalFiles) and (content := store.files.read(sweep_key(name, JOURNAL))) is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.write_bytes(content)
    study = Study(search, spec.objectives, spec.scheduler, journal=journal, steps=steps_of(spec))
    return SearchPlan(plan, study, spec.scheduler, partial(draw_trial, spec, run_dir=run_dir), keep)


def keep_journal(store: RecordStore, name: str, journal: Path) -> None:
    """Put a search's journal into an object store; a local one holds it already."""
    if not isinstance(store.files, LocalFiles):
        store.files.write(sweep_key(name, JOURNAL), journal.read_bytes())


def steps_of(spec: SweepSpec) -> int:
    """Steps of a whole trial, as the recipe says."""
    from trainer.config import ScheduleConfig

    given = spec.base.get("schedule.steps")
    return int(given.value) if given is not None else ScheduleConfig().steps


@contextmanager
def gentle_interrupt(driver: Driver) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) lets running trials end at their next report; the second stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: Any) -> None:
        if driver.interrupted:
            raise KeyboardInterrupt
        driver.interrupt()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_executor(spec: SweepSpec, options: RunOptions, closing_later: ExitStack) -> Executor:
    """The executor the options ask for; its cluster ends with `closing_later`."""
    if options.executor == "serial":
        from orchestrator.running.executors.serial import Serial
        from orchestrator.running.worker import run_trial

        return Serial(partial(run_trial, inspect=True) if options.debug else run_trial, gpus=visible_gpus())
    from orchestrator.running.executors.ray_tune import RayTune

    executor = RayTune(
        address=options.address, max_concurrent=options.max_concurrent, processes=spec.resources.processes
    )
    closing_later.callback(executor.shutdown)
    return executor


def get_ready(spec: SweepSpec, options: RunOptions, closing_later: ExitStack, mirror: Follower) -> Executor:
    """The executor, once MLflow has answered too: both start at the same time.

    Raises AccessError when MLflow refuses access. A server that does not answer delays the sweep by a limited time.
    """
    executor = open_executor(spec, options, closing_later)
    mirror.admit()
    return executor


def open_follower(options: RunOptions, name: str) -> Follower:
    """The tracker that mirrors sweep `name` to MLflow."""
    from orchestrator.tracking.follower import Follower

    return Follower(tracking_uri_of(options.tracking_uri), options.run_dir, options.out / name / "table.md")


def write_tables(
    sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], *, out: Path, run_dir: Path | str | None = None
) -> dict[str, Path]:
    """All formats of the sweep's table; with `run_dir`, at its end, also what takes seconds: figures and pictures."""
    from reports.write import write_reports

    return write_reports(sweep, outcomes, out / sweep.name, run_dir=run_dir)
