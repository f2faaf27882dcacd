"""`python -m orchestrator.sweep SPEC.yaml`: plan, run what is missing, mirror to MLflow, write the table."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.api import RunOptions, SweepResult, TrialSelection, carry_out
from orchestrator.commands.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.planning.cost_forecast import CostBook, forecast
from orchestrator.planning.plan import CACHE, SweepPlan, Trial, dry_run_json, plan_sweep
from orchestrator.running.driver import left_to_run
from orchestrator.spec.sweep_spec import SweepSpec, read_spec
from orchestrator.store.backends import local_folder
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.uri import without_password

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.running.tracker import Tracker

__all__ = ["main"]

MISSING_LISTED = 20
"""So many missing trials are listed at the end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = build_parser().parse_args(argv)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Plan, then show the plan or carry it out."""
    spec = read_spec(options.spec, recipe=options.recipe, settings=options.set, seeds=options.seeds)
    plan = plan_sweep(spec, run_dir=local_folder(options.run_dir))
    return show_plan(spec, plan, options) if options.dry_run else sweep(spec, plan, options)


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
    parser.add_argument("--run-dir", default="runs", metavar="DIR|URL", help="record store (default: runs)")
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="tables (default: reports/out)")
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite:///mlflow.db)")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="run only trials of this row")
    parser.add_argument("--trial", action="append", default=[], metavar="ID", help="run only the trial with this id")
    parser.add_argument("--debug", action="store_true", help="run in this process, open pdb where a trial raises")
    parser.add_argument("--max-concurrent", type=positive, metavar="N", help="trials at the same time, at most")
    return parser


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def show_plan(spec: SweepSpec, plan: SweepPlan, options: argparse.Namespace) -> int:
    """Print what would run and what is done already; imports neither torch nor ray nor mlflow."""
    ids = [trial.trial_id for trial in plan.trials]
    outcomes = RunDirectory(options.run_dir).outcomes(ids)
    if options.json:
        statuses = {key: record.state.value for key, record in outcomes.items()}
        print(json.dumps(dry_run_json(plan, statuses), indent=1))
        return DONE
    waiting = {trial.trial_id for trial in left_to_run(plan, outcomes)}
    sweep = plan.record
    print(f"{sweep.name}: {len(sweep.rows)} rows x {len(sweep.seeds)} seeds = {len(sweep.cells)} cells")
    print(f"{len(ids)} trials, {len(ids) - len(waiting)} done already, {len(waiting)} to run")
    if spec.search is not None:
        print(f"{spec.search.sampler} search: {spec.search.trials} trials, each drawn when there is room for it")
    if waiting:
        print(outlook(spec, [trial for trial in plan.trials if trial.trial_id in waiting], options))
    width = max((len(row.label) for row in sweep.rows), default=0)
    marks: dict[str, list[str]] = {row.label: [] for row in sweep.rows}
    for cell in sweep.cells:
        marks[cell.row].append(f"seed {cell.seed} {'to run' if cell.trial_id in waiting else 'done'}")
    for label, seeds in marks.items():
        print(f"  {label:<{width}}  {', '.join(seeds)}")
    return DONE


def outlook(spec: SweepSpec, trials: Sequence[Trial], options: argparse.Namespace) -> str:
    """What the trials will take on this machine: wall time, GPU-hours, disk."""
    gpus = spec.resources.gpus
    slots = max(1, int((os.cpu_count() or 1) / spec.resources.cpus))
    if options.max_concurrent:
        slots = min(slots, options.max_concurrent)
    costs = CostBook(local_folder(options.run_dir) / CACHE).costs
    return forecast(trials, costs, slots=slots, gpus_per_trial=0.0 if gpus == "auto" else gpus).describe()


def sweep(spec: SweepSpec, plan: SweepPlan, options: argparse.Namespace) -> int:
    """Run what is missing, write the tables, and return the exit code."""
    from rich.console import Console
    from rich.text import Text

    from orchestrator.tracking.console import ConsoleTracker
    from orchestrator.tracking.json_events import EventTracker

    console = Console(stderr=options.json, highlight=False)
    choice = (
        TrialSelection(rows=tuple(options.only), trials=tuple(options.trial)) if options.only or options.trial else None
    )

    def make_trackers(todo: Sequence[Trial]) -> list[Tracker]:
        costs = CostBook(local_folder(options.run_dir) / CACHE)
        shown = ConsoleTracker(console, weights(todo, costs), 0 if choice else rows_to_come(spec))
        return [shown, EventTracker(sys.stdout)] if options.json else [shown]

    result = carry_out(spec, plan, run_options(options), make_trackers, choice, command_of(options))
    if not options.json:
        console.print(Text(result.files["markdown"].read_text(encoding="utf-8")), soft_wrap=True)
    conclude(result, options, console)
    return DONE if result.completed else UNFINISHED


def run_options(options: argparse.Namespace) -> RunOptions:
    """Where the sweep runs, as the command line says."""
    return RunOptions(
        run_dir=options.run_dir,
        out=options.out,
        tracking_uri=options.tracking_uri,
        executor="serial" if options.debug else options.executor,
        debug=options.debug,
        address=options.address,
        max_concurrent=options.max_concurrent,
    )


def command_of(options: argparse.Namespace) -> str:
    """The command line that runs the whole sweep like this one, without what chooses trials or shapes the output."""
    words = ["python", "-m", "orchestrator.sweep", str(options.spec)]
    for setting in options.set:
        words += ["--set", setting]
    defaults = build_parser().parse_args([str(options.spec)])
    for name in ("recipe", "seeds", "run_dir", "out", "tracking_uri"):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", without_password(str(value))]  # it is kept in the store
    return shlex.join(words)


def weights(trials: Sequence[Trial], costs: CostBook) -> dict[str, float]:
    """What each trial costs: seconds where all are known, else steps."""
    seconds = {trial.trial_id: cost.seconds(trial.config) for trial in trials if (cost := costs.of(trial.config))}
    if len(seconds) == len(trials):
        return seconds
    return {trial.trial_id: float(trial.config.schedule.steps) for trial in trials}


def rows_to_come(spec: SweepSpec) -> int:
    """Rows of the table once a search has drawn all it may; 0 for a plan that is complete as it is."""
    return 0 if spec.search is None else len(spec.rows) + spec.search.trials


def conclude(result: SweepResult, options: argparse.Namespace, console: Console) -> None:
    """The last lines: what is missing and why, how to look into it, and where the tables are."""
    from rich.text import Text

    labels = {cell.trial_id: f"{cell.row}, seed {cell.seed}" for cell in reversed(result.plan.record.cells)}
    missing = left_to_run(result.plan, result.outcomes)
    for trial in missing[:MISSING_LISTED]:
        record = result.outcomes.get(trial.trial_id)
        reason = "not run" if record is None else record.state.replace("_", " ")
        if record is not None and record.error is not None:
            reason += f" ({record.error.kind}: {record.error.message})"
        console.print(Text(f"missing: {labels[trial.trial_id]} [{trial.trial_id}]: {reason}"), soft_wrap=True)
    if len(missing) > MISSING_LISTED:
        more = f"missing: {len(missing) - MISSING_LISTED} more; `python -m orchestrator status {options.spec}` has all"
        console.print(Text(more), soft_wrap=True)
    if result.halted:
        console.print(Text(f"stopped: {result.halted}", style="red"), soft_wrap=True)
    console.print(Text(f"tables: {', '.join(str(path) for path in result.files.values())}"), soft_wrap=True)
    if result.mirror_failure is not None or result.mirror_lacks:
        console.print(Text(undelivered(result, options), style="yellow"), soft_wrap=True)


def undelivered(result: SweepResult, options: argparse.Namespace) -> str:
    """What MLflow lacks, why, and the command that delivers it."""
    lacks = result.mirror_lacks or "a part"
    reason = f" ({result.mirror_failure})" if result.mirror_failure else ""
    recipe = f" --recipe {options.recipe}" if options.recipe else ""
    again = f"python -m orchestrator sync {options.spec}{recipe} --run-dir {options.run_dir}"
    if options.tracking_uri:
        again += f" --tracking-uri {without_password(options.tracking_uri)}"
    return f"MLflow lacks {lacks} of {result.plan.record.name}{reason}; deliver it with `{again}`"


if __name__ == "__main__":
    sys.exit(main())
