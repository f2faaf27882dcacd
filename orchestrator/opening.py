"""The start of a sweep: checks, the driver with what runs beside it, and the executor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.ending import Ending, draw_in_advance
from orchestrator.errors import SweepError
from orchestrator.machine.own_folder import ForeignFolderError, claim, remove_stale, temporary_root
from orchestrator.planning.cost_forecast import CostBook
from orchestrator.planning.plan import CACHE, SweepPlan
from orchestrator.plugins.table_style import TableStyle
from orchestrator.run_options import RunOptions
from orchestrator.running.closing import Closing
from orchestrator.running.driver import Driver, RunPolicy
from orchestrator.running.fork_server.preload import modules_of
from orchestrator.spec.blocks import Resources
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.running_sweep import RunningSweep
from orchestrator.store.sweep_results import SweepResults
from orchestrator.tracking.figures_in_advance import FigureTracker
from orchestrator.tracking.live_table import TableTracker
from orchestrator.tracking.uri import is_own_file, tracking_uri_of

if TYPE_CHECKING:
    from orchestrator.doctor.finding import Question
    from orchestrator.planning.adaptive.base import GrowingPlan
    from orchestrator.running.executors.base import Executor
    from orchestrator.running.tracker import Tracker
    from orchestrator.tracking.follower import Follower
    from orchestrator.workload.loaded import LoadedWorkload

__all__ = ["executor_of", "open_growing_plan", "open_parts", "prepare_temporary_folder", "question_of"]


def open_parts(
    spec: SweepSpec,
    options: RunOptions,
    store: RecordStore,
    follower: Follower,
    trackers: Sequence[Tracker],
    stack: ExitStack,
) -> Ending:
    """The driver of a sweep and what runs beside it; `stack` ends each of them, whatever happens.

    Every event is told to `follower`, which mirrors the sweep to MLflow, then to `trackers`.
    """
    from orchestrator.running.executors import resources_on
    from reports.figures.process import FigureProcess

    closing, figures, executors = Closing(), FigureProcess(), ExitStack()
    stack.callback(closing.step, "the process that writes to MLflow", follower.stop, brief=True)
    stack.callback(closing.step, "the process that draws", figures.stop, brief=True)
    stack.callback(closing.step, "the executor", executors.close, brief=True)
    resources = resources_on(options.executor, spec.space.resources)
    write = partial(write_running, out=options.out, plugins=spec.styles)
    draw = partial(draw_in_advance, out=options.out, process=figures)
    in_advance = FigureTracker(draw, lambda: has_idle_cpu(driver, resources.cpus))
    driver = Driver(
        store,
        [follower, *trackers, TableTracker(write), in_advance],
        policy_of(spec, resources),
        costs=CostBook(store.local_folder / CACHE),
    )
    return Ending(
        driver=driver,
        store=store,
        executors=executors,
        figures=figures,
        follower=follower,
        closing=closing,
        out=options.out,
        plugins=spec.styles,
    )


def executor_of(parts: Ending, plan: SweepPlan, options: RunOptions, environment: Mapping[str, str]) -> Executor:
    """Start the executor, which takes seconds, and wait for MLflow where it may refuse access: before any trial.

    `environment`: the variables that workers get.
    """
    from orchestrator.running.executors import open_executor

    driver = parts.driver
    executor = parts.executors.enter_context(
        open_executor(
            options.executor,
            driver.policy.resources,
            address=options.address,
            max_concurrent=options.max_concurrent,
            environment=environment,
            modules=modules_of(plan.workload),
            debug=options.debug,
            preparing=driver.preparing,
        )
    )
    if not is_own_file(tracking_uri_of(options.tracking_uri)):
        driver.preparing("waiting for MLflow")
        parts.follower.admit()
        driver.preparing("")
    return executor


def has_idle_cpu(driver: Driver, cpus: float) -> bool:
    """Whether no trial waits, and those that run with `cpus` each leave one of this machine idle."""
    return driver.only_runs and len(driver.running) * cpus + 1 <= (os.cpu_count() or 1)


def question_of(options: RunOptions, resources: Resources, trials: int, workload: LoadedWorkload) -> Question:
    """What `doctor` is asked about a sweep that runs `trials` trials, or more if a search adds them."""
    from orchestrator.doctor.finding import Question

    at_a_time = 1
    if options.executor == "ray" and options.address is None:
        at_a_time = max(min(trials, int((os.cpu_count() or 1) // max(resources.cpus, 1.0))), 1)
        at_a_time = min(at_a_time, options.max_concurrent or at_a_time)
    return Question(
        run_dir=str(options.run_dir),
        tracking_uri=options.tracking_uri,
        address=options.address,
        executor=options.executor,
        out=options.out,
        trials_at_a_time=at_a_time,
        workload=workload,
    )


def prepare_temporary_folder() -> None:
    """Remove what killed processes of this user left among its temporary files.

    Raises SweepError if the folder for them is another's: later, Ray would only say that it cannot start.
    """
    try:
        claim(temporary_root(), "TMPDIR")
    except ForeignFolderError as error:
        raise SweepError(str(error)) from error
    except OSError:  # a full disk concerns only what needs the folder
        return
    remove_stale()


def open_growing_plan(spec: SweepSpec, plan: SweepPlan, directory: RunDirectory) -> GrowingPlan | None:
    """The plan with the trials that earlier commands added; None for a plan that is complete from the start."""
    if spec.search is not None:
        from orchestrator.planning.adaptive.search import open_search

        return open_search(spec, spec.search, plan, directory)
    if spec.until is None:
        return None
    from orchestrator.planning.adaptive.seeds import SequentialSeeds
    from reports.tables.sequential import open_rows

    return SequentialSeeds(plan, spec.until, partial(open_rows, first=spec.until.first, last=spec.until.last))


def policy_of(spec: SweepSpec, resources: Resources) -> RunPolicy:
    """What the search space says about retries and limits, with the resources as the executor has them."""
    space = spec.space
    return RunPolicy(
        resources=resources,
        retries=space.retries,
        budget=space.budget,
        max_consecutive_failures=space.max_consecutive_failures,
    )


def write_running(
    results: SweepResults,
    running: RunningSweep,
    page_only: bool,
    *,
    out: Path,
    plugins: Mapping[str, TableStyle],
) -> None:
    """Write the provisional table of a running sweep in all styles and its page, or `page_only`."""
    from reports.write import Reports

    reports = Reports(results, out / results.sweep.name, plugins=plugins, running=running)
    if page_only:
        reports.write_page(reports.kept_figures)
    else:
        reports.write_tables()
