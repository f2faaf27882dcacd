"""`plan` and `sweep`: what the command line does, for Python.

from orchestrator import plan, sweep
outcome = sweep("search_spaces/ablation_memory.yaml", seeds=5)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from orchestrator.errors import StoreError
from orchestrator.interrupts import ending_gently
from orchestrator.planning.naming import plan_in
from orchestrator.planning.plan import SweepPlan, Trial, TrialSelection
from orchestrator.plugins.table_style import TableStyle
from orchestrator.run_options import RunOptions
from orchestrator.running.driver import INTERRUPTED, Driver
from orchestrator.running.stored_plan import StoredPlan, store_plan
from orchestrator.spec.sweep_spec import SweepSpec, read_spec
from orchestrator.spec.workload_in_use import reading_for
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.keys import code_key
from orchestrator.store.run_directory import RunDirectory, without_digest
from orchestrator.store.sweep_results import SweepResults, Verification
from orchestrator.tracking.uri import is_own_file, sweep_link, tracking_uri_of

if TYPE_CHECKING:
    from orchestrator.ending import ShowTable
    from orchestrator.running.closing import Closing
    from orchestrator.running.tracker import Tracker
    from orchestrator.spec.blocks import Resources
    from orchestrator.store.record_store import RecordStore
    from orchestrator.tracking.follower import Follower
    from orchestrator.workload.loaded import LoadedWorkload
    from orchestrator.workload.runtime import Runtime

TrackerFactory = Callable[[Sequence[Trial]], Sequence["Tracker"]]
"""Makes the trackers of a sweep from the trials that still have to run."""

__all__ = ["RunOptions", "SweepOutcome", "TrackerFactory", "TrialSelection", "carry_out", "plan", "sweep"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepOutcome:
    """The state of a sweep at the end of a command."""

    plan: SweepPlan
    """With all trials that a search added."""
    outcomes: Mapping[str, AttemptRecord]
    """By trial id, the attempt that counts."""
    files: Mapping[str, Path]
    """Tables by style."""
    selected: frozenset[str] | None = None
    """Ids of the trials that were asked for; None: all."""
    halted: str = ""
    """Why the sweep stopped early; empty when it did not."""
    failures: tuple[str, ...] = ()
    """What could not be done at the end, such as the tables on a full disk, a line each; the next command does it."""
    mirror_failure: Exception | None = None
    """Why MLflow did not get everything."""
    mirror_lacks: str = ""
    """What MLflow did not get: `3 trials and the final table`. `python -m orchestrator sync` delivers it."""
    mlflow_link: str | None = None
    """Address of the sweep in MLflow's pages; None where it is not known."""

    @property
    def completed(self) -> bool:
        """Whether no planned trial has to run any more."""
        return not self.halted and not self.plan.unfinished(self.outcomes)

    @property
    def fulfilled(self) -> bool:
        """Whether everything that was asked for is done: all trials, or those selected, and the tables."""
        return not self.halted and not self.missing and not self.failures

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of the trials that were asked for and still have to run, in the order of the plan."""
        results = SweepResults(sweep=self.plan.record, outcomes=self.outcomes)
        asked = [trial.trial_id for trial in self.plan.trials]
        if self.selected is not None:
            unplanned = sorted(self.selected.difference(asked))  # a further seed that no comparison needs yet
            asked = [*(trial_id for trial_id in asked if trial_id in self.selected), *unplanned]
        return tuple(trial_id for trial_id in asked if not results.ended(trial_id))


def plan(
    spec: str | Path,
    *,
    recipe: str | None = None,
    data: Sequence[str] = (),
    settings: Sequence[str] = (),
    seeds: str | int | None = None,
    name: str | None = None,
    run_dir: str | Path = "runs",
) -> SweepPlan:
    """The plan of the search space at `spec`; nothing runs. Raises SpecError, one line per mistake."""
    read = read_spec(Path(spec), recipe=recipe, data=data, settings=settings, seeds=seeds, name=name)
    return plan_in(RunDirectory(run_dir), read)


def sweep(
    spec: str | Path,
    *,
    recipe: str | None = None,
    data: Sequence[str] = (),
    settings: Sequence[str] = (),
    seeds: str | int | None = None,
    name: str | None = None,
    options: RunOptions | None = None,
    trackers: Sequence[Tracker] = (),
) -> SweepOutcome:
    """Run the missing trials of the search space at `spec` and write its tables; `trackers` receive every event.

    What `recipe`, `data`, `settings` and `seeds` change is part of the sweep's name, unless `name` gives it.
    Raises SweepError for a wrong specification, a run directory in use, a cluster that is too small, or results of
    other code (`RunOptions.stale`). A trial that fails is a record in the outcome.
    """
    options = options or RunOptions()
    read = read_spec(Path(spec), recipe=recipe, data=data, settings=settings, seeds=seeds, name=name)
    return carry_out(read, plan_in(RunDirectory(options.run_dir), read), options, lambda _: trackers)


def carry_out(
    spec: SweepSpec,
    plan: SweepPlan,
    options: RunOptions,
    make_trackers: TrackerFactory,
    selection: TrialSelection | None = None,
    command: str = "",
    show: ShowTable | None = None,
) -> SweepOutcome:
    """Run the missing trials of a plan, or those of `selection`, and write the tables.

    `command` is the command line of the sweep; `status` shows it beside failed trials. `show` is called with the
    final tables as soon as they are written, before figures and MLflow are complete.
    """
    from orchestrator.doctor.before_a_sweep import check_before_sweep
    from orchestrator.opening import executor_of, open_growing_plan, open_parts, prepare_temporary_folder, question_of
    from orchestrator.running.forwarded_environment import forwarded_environment
    from orchestrator.store.record_store import RecordStore

    environment = forwarded_environment(options.forward_env)
    prepare_temporary_folder()
    plan = replace(plan, record=replace(plan.record, command=command))
    store = RecordStore(options.run_dir)
    with reading_for(plan.workload), store.lock(), ExitStack() as stack:
        stored = store_plan(plan, open_growing_plan(spec, plan, store), store, selection, options.stale)
        plan, todo = stored.plan, stored.todo
        if todo or stored.growing is not None:  # a command that only writes tables needs none of it
            check_before_sweep(question_of(options, spec.space.resources, len(todo), plan.workload))
        save_code(store, plan.workload)
        trackers = make_trackers(todo)
        follower = open_follower(options, plan.record.name)
        parts = open_parts(spec, options, store, follower, trackers, stack)
        driver, closing = parts.driver, parts.closing
        start = partial(executor_of, parts, plan, options, environment)
        cause: Exception | None = None
        with ending_gently(driver.interrupt):
            try:
                runtime = runtime_of(driver.policy.resources)
                driver.run(plan, stored.outcomes, runtime, start, stored.growing, stored.selected)
            except KeyboardInterrupt:  # the second signal
                driver.interrupted = closing.at_once = True
            except Exception as error:
                cause = error
            if lost := store.taken_over:  # tables and MLflow are the other driver's now
                raise StoreError(lost) from cause
            outcome = outcome_of(stored, driver)
            shown = show if cause is None and not driver.interrupted else None
            files = parts.take_steps(results_of(stored, driver), completed=outcome.completed, show=shown)
    raise_first(cause, driver, closing)
    return replace(
        outcome,
        files=files,
        failures=tuple(closing.failures),
        mirror_failure=follower.failure,
        mirror_lacks=follower.lacking,
        mlflow_link=sweep_link(tracking_uri_of(options.tracking_uri), follower.page) if follower.page else None,
    )


def raise_first(cause: Exception | None, driver: Driver, closing: Closing) -> None:
    """Raise why the sweep ended early, with a note for each thing that failed after it; nothing if it did not."""
    first = cause or (KeyboardInterrupt() if driver.interrupted else closing.defect)
    if first is None:
        return
    stopped = [f"stopped: {driver.halted}"] if driver.halted not in ("", INTERRUPTED) else []
    for line in [*stopped, *closing.failures]:
        first.add_note(line)
    raise first


def outcome_of(stored: StoredPlan, driver: Driver) -> SweepOutcome:
    """How the sweep ended, before anything is written."""
    return SweepOutcome(
        plan=driver.plan, outcomes=driver.outcomes, files={}, selected=stored.selected, halted=driver.halted
    )


def results_of(stored: StoredPlan, driver: Driver) -> SweepResults:
    """What the tables show."""
    reused = {key: item for key, item in stored.attempts.items() if driver.outcomes.get(key) is item.record}
    verification = Verification(without_digest=without_digest(reused))  # all else was written by this command
    return SweepResults(sweep=driver.plan.record, outcomes=driver.outcomes, verification=verification)


def runtime_of(resources: Resources) -> Runtime:
    """As many threads as a trial holds CPUs, so that trials do not compete for them; its ranks share them.

    On a GPU, as many loader threads follow from it (`Runtime.loader_threads`).
    """
    from orchestrator.workload.runtime import Runtime

    return Runtime(threads=max(int(resources.cpus) // resources.ranks, 1), ranks=resources.ranks)


def save_code(store: RecordStore, workload: LoadedWorkload) -> None:
    """Write what the trials' records refer to by digests: the files of the trainer, and the uncommitted changes.

    Changes may hold what nobody else should read, so only the owner may.
    """
    from orchestrator.store.git_state import code_state

    if store.files.read(key := code_key(workload.code.digests()[0])) is None:
        store.write(key, {"files": dict(workload.code.files())})
    code = code_state()
    if code.diff:
        store.files.write(code_key(code.digest, ".patch"), code.content + b"\n", private=True)


def open_follower(options: RunOptions, name: str) -> Follower:
    """The tracker that mirrors sweep `name` to MLflow; its process starts at once if MLflow may refuse access."""
    from orchestrator.tracking.follower import Follower

    uri = tracking_uri_of(options.tracking_uri)
    return Follower(uri, options.run_dir, options.out / name / "table.md", at_once=not is_own_file(uri))


def write_tables(
    results: SweepResults,
    *,
    out: Path,
    plugins: Mapping[str, TableStyle] = MappingProxyType({}),
    directory: RunDirectory | None = None,
) -> dict[str, Path]:
    """Write a sweep's table in all styles; with `directory` also its figures and pictures, which take seconds."""
    from reports.write import write_reports

    return write_reports(results, out / results.sweep.name, plugins=plugins, directory=directory)
