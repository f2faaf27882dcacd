"""`python -m orchestrator.sweep SPEC.yaml`: plan, run what is missing, mirror to MLflow, write the table."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.driver import Driver, left_to_run
from orchestrator.plan import SweepPlan, check_labels, dry_run_json, plan_sweep
from orchestrator.records import AttemptRecord, SweepRecord, read_outcomes
from orchestrator.spec import Resources, SweepSpec, read_spec

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.execution.base import Executor
    from orchestrator.tracking.base import Tracker
    from trainer.config import Runtime

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = build_parser().parse_args(argv)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Plan, then show the plan or carry it out."""
    spec = read_spec(options.spec, recipe=options.recipe, settings=options.set, seeds=options.seeds)
    plan = plan_sweep(spec, run_dir=options.run_dir)
    return show_plan(plan, options) if options.dry_run else sweep(spec, plan, options)


def build_parser() -> Parser:
    """The command line (design.md, the commands)."""
    parser = Parser(
        prog="python -m orchestrator.sweep",
        description="Plan a search space, train what is missing on Ray, log to MLflow, write the table. "
        "The same command resumes an interrupted sweep and extends an edited one.",
        epilog="Exit codes: 0 all done, 1 some failed or missing, 2 wrong usage or specification, 130 interrupted.",
    )
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the search space")
    parser.add_argument("--recipe", metavar="NAME|PATH", help="data set, model and schedule, instead of the file's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="set a config key in all rows")
    parser.add_argument("--seeds", metavar="N", help="seeds per row, or a list such as 11,12,13")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    parser.add_argument("--json", action="store_true", help="with --dry-run: the plan as JSON; else events, one a line")
    parser.add_argument("--executor", choices=("ray", "serial"), default="ray", help="serial: in this process")
    parser.add_argument("--address", metavar="ADDR", help="Ray cluster to join (default: one of its own)")
    parser.add_argument("--run-dir", type=Path, default=Path("runs"), help="record store (default: runs)")
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="tables (default: reports/out)")
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite:///mlflow.db)")
    parser.add_argument("--max-concurrent", type=positive, metavar="N", help="trials at the same time, at most")
    return parser


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def show_plan(plan: SweepPlan, options: argparse.Namespace) -> int:
    """Print what would run and what is done already; imports neither torch nor ray nor mlflow."""
    ids = [trial.trial_id for trial in plan.trials]
    outcomes = read_outcomes(options.run_dir, ids)
    if options.json:
        statuses = {key: record.state.value for key, record in outcomes.items()}
        print(json.dumps(dry_run_json(plan, statuses), indent=1))
        return DONE
    waiting = {trial.trial_id for trial in left_to_run(plan, outcomes)}
    sweep = plan.record
    print(f"{sweep.name}: {len(sweep.rows)} rows x {len(sweep.seeds)} seeds = {len(sweep.cells)} cells")
    print(f"{len(ids)} trials, {len(ids) - len(waiting)} done already, {len(waiting)} to run")
    width = max(len(row.label) for row in sweep.rows)
    marks: dict[str, list[str]] = {row.label: [] for row in sweep.rows}
    for cell in sweep.cells:
        marks[cell.row].append(f"seed {cell.seed} {'to run' if cell.trial_id in waiting else 'done'}")
    for label, seeds in marks.items():
        print(f"  {label:<{width}}  {', '.join(seeds)}")
    return DONE


def sweep(spec: SweepSpec, plan: SweepPlan, options: argparse.Namespace) -> int:
    """Run what is missing, write the tables, and return the exit code."""
    from rich.console import Console
    from rich.text import Text

    from orchestrator.store import RecordStore
    from orchestrator.tracking.background import Background
    from orchestrator.tracking.console import ConsoleTracker
    from orchestrator.tracking.events import EventTracker

    console = Console(stderr=options.json, highlight=False)
    store = RecordStore(options.run_dir)
    with store.lock(), ExitStack() as closing_later:
        store.write_sweep(plan.record)
        outcomes = store.outcomes(trial.trial_id for trial in plan.trials)
        todo = {trial.trial_id: trial.config.schedule.steps for trial in left_to_run(plan, outcomes)}
        if todo:
            check_labels(spec, plan, run_dir=options.run_dir)
        mirror = Background(lambda: open_mlflow(options))
        trackers: list[Tracker] = [mirror, ConsoleTracker(console, todo)]
        if options.json:
            trackers.append(EventTracker(sys.stdout))
        driver = Driver(store, trackers)
        runtime = trial_runtime(spec.resources)
        try:
            driver.run(plan, outcomes, runtime, lambda: open_executor(spec, options, closing_later))
        finally:
            files = write_tables(plan.record, driver.outcomes, options)
            completed = not left_to_run(plan, driver.outcomes)
            driver.finish(files, completed=completed)
            mirror.close()
        if not options.json:
            console.print(Text(files["markdown"].read_text(encoding="utf-8")), soft_wrap=True)
        conclude(plan, driver.outcomes, files, console)
        if mirror.failure is not None:
            console.print(Text(f"MLflow got only a part ({mirror.failure}); run the same command to deliver the rest"))
    return DONE if completed else UNFINISHED


def trial_runtime(resources: Resources) -> Runtime:
    """How each trial is run: a share of several whole GPUs is as many ranks, which divide the CPUs between them."""
    from trainer.config import Runtime

    ranks = 1 if resources.gpus == "auto" else max(int(resources.gpus), 1)
    return Runtime(ranks=ranks, threads=max(int(resources.cpus) // ranks, 1))


def open_executor(spec: SweepSpec, options: argparse.Namespace, closing_later: ExitStack) -> Executor:
    """The executor the options ask for; its cluster ends with `closing_later`."""
    if options.executor == "serial":
        from orchestrator.execution.serial import Serial

        return Serial()
    from orchestrator.execution.ray_tune import RayTune

    executor = RayTune(
        cpus_per_trial=spec.resources.cpus,
        gpus_per_trial=None if spec.resources.gpus == "auto" else float(spec.resources.gpus),
        address=options.address,
        max_concurrent=options.max_concurrent,
    )
    closing_later.callback(executor.shutdown)
    return executor


def open_mlflow(options: argparse.Namespace) -> Tracker:
    """The MLflow tracker; called in the mirror's thread, because importing MLflow takes seconds."""
    from orchestrator.tracking.mlflow import MlflowTracker

    uri = options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    return MlflowTracker(uri, options.run_dir)


def write_tables(
    sweep: SweepRecord, outcomes: Mapping[str, AttemptRecord], options: argparse.Namespace
) -> dict[str, Path]:
    """All formats of the sweep's table."""
    from reports.write import write_reports

    return write_reports(sweep, outcomes, options.out / sweep.name)


def conclude(
    plan: SweepPlan, outcomes: Mapping[str, AttemptRecord], files: Mapping[str, Path], console: Console
) -> None:
    """The last lines: what is missing and why, and where the tables are."""
    from rich.text import Text

    labels = {cell.trial_id: f"{cell.row}, seed {cell.seed}" for cell in reversed(plan.record.cells)}
    for trial in left_to_run(plan, outcomes):
        record = outcomes.get(trial.trial_id)
        reason = "not run" if record is None else record.state.value
        if record is not None and record.error is not None:
            reason += f" ({record.error.kind}: {record.error.message})"
        console.print(Text(f"missing: {labels[trial.trial_id]} [{trial.trial_id}]: {reason}"), soft_wrap=True)
    console.print(Text(f"tables: {', '.join(str(path) for path in files.values())}"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
