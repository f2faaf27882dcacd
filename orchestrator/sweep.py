"""`python -m orchestrator.sweep SPEC.yaml`: plan, run the missing trials, log to MLflow, write the table."""

from __future__ import annotations

from orchestrator.interrupts import exit_at_signals

if __name__ == "__main__":
    exit_at_signals()  # first, because the imports below take a second

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO, cast

from orchestrator import api
from orchestrator.api import RunOptions, SweepOutcome, carry_out
from orchestrator.commands.announced_plan import announced_plan
from orchestrator.commands.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.commands.dry_run import plan_as_json, plan_as_text
from orchestrator.commands.sweep_choice import given_options
from orchestrator.machine.text_table import print_parts
from orchestrator.planning.cost_forecast import CostBook
from orchestrator.planning.plan import CACHE, SweepPlan, Trial, TrialSelection
from orchestrator.redaction import without_password
from orchestrator.spec.sweep_spec import SweepSpec, read_spec
from orchestrator.spec.workload_in_use import reading_for
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.uri import tracking_uri_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from orchestrator.running.tracker import Tracker

__all__ = ["main"]

UI = "`python -m orchestrator ui`"
"""Serves the pages of a database on this machine."""
MOST_MISSING_LISTED = 20
"""Missing trials that are listed at the end."""


class CallableModule(ModuleType):
    """A module that is called like `orchestrator.api.sweep`."""

    def __call__(self, *given: Any, **named: Any) -> SweepOutcome:
        """Run a sweep."""
        return api.sweep(*given, **named)


sys.modules[__name__].__class__ = CallableModule


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.all and not options.dry_run:
        parser.error("--all: shows the whole plan; give it with --dry-run")
    if options.debug:
        options.executor = "serial"
    return guarded(
        lambda: run(options), "interrupted; all results so far are kept, and the same command resumes the sweep"
    )


def run(options: argparse.Namespace) -> int:
    """Plan, then show the plan or carry it out."""
    spec = read_spec(options.spec, **given_options(options))
    directory = RunDirectory(options.run_dir)
    plan = announced_plan(directory, spec)
    selection = None
    if options.only or options.trial:
        selection = TrialSelection(rows=tuple(options.only), trials=tuple(options.trial))
    with reading_for(spec.workload):
        if not options.dry_run:
            return run_plan(spec, plan, directory, selection, options)
        if options.json:
            print(plan_as_json(plan, directory, selection, options.stale))
        else:
            given = (options.max_concurrent, selection, options.stale)
            print_parts(plan_as_text(spec, plan, directory, *given, every=options.all))
        return DONE


def build_parser() -> Parser:
    """The options of the command line."""
    parser = Parser(
        prog="python -m orchestrator.sweep",
        description="Plan a search space, train the missing trials on Ray, log them to MLflow and write the table. "
        "The same command resumes an interrupted sweep and extends an edited one.",
        epilog="Exit codes: 0 all that was asked for is done, 1 some failed or missing, 2 wrong usage or "
        "specification, 130 interrupted.",
    )
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="search space file")
    parser.add_argument("--recipe", metavar="NAME|PATH", help="data set, model and schedule, instead of the file's")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME|PATH",
        help="train every row on this data set, repeatable: camvid, camvid=PATH, a recipe or a folder",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="set a config key in all rows")
    parser.add_argument("--seeds", metavar="N", help="number of seeds per row, or a list such as 11,12,13")
    parser.add_argument("--name", metavar="NAME", help="name of the sweep (default: file, recipe, --set and --seeds)")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and exit")
    parser.add_argument("--all", action="store_true", help="with --dry-run: show every row and note")
    parser.add_argument("--json", action="store_true", help="one JSON event per line; with --dry-run the plan as JSON")
    parser.add_argument("--executor", choices=("ray", "serial"), default="ray", help="serial: run in this process")
    parser.add_argument("--address", metavar="ADDR", help="Ray cluster to join (default: start a local one)")
    parser.add_argument(
        "--forward-env",
        action="append",
        default=[],
        metavar="NAME",
        help="with --address: give workers this environment variable; no other travels",
    )
    parser.add_argument("--run-dir", default="runs", metavar="DIR|URL", help="run directory (default: runs)")
    parser.add_argument("--out", type=Path, default=Path("reports/out"), help="tables (default: reports/out)")
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite:///mlflow.db)")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="now run only this row's trials")
    parser.add_argument(
        "--trial", action="append", default=[], metavar="ID", help="now run only the trial with this id"
    )
    stale = parser.add_mutually_exclusive_group()
    stale.add_argument(
        "--rerun-stale",
        dest="stale",
        action="store_const",
        const="rerun",
        default="refuse",
        help="run trials again whose results other code of the trainer computed",
    )
    stale.add_argument(
        "--accept-stale",
        dest="stale",
        action="store_const",
        const="accept",
        help="keep them, marked § in every table",
    )
    parser.add_argument("--debug", action="store_true", help="run in this process; open pdb where a trial raises")
    parser.add_argument("--max-concurrent", type=positive, metavar="N", help="run at most N trials at once")
    return parser


def positive(text: str) -> int:
    """An integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def run_plan(
    spec: SweepSpec,
    plan: SweepPlan,
    directory: RunDirectory,
    selection: TrialSelection | None,
    options: argparse.Namespace,
) -> int:
    """Run the missing trials, write the tables, and return the exit code."""
    from rich.console import Console
    from rich.text import Text

    from orchestrator.tracking.console import ConsoleTracker
    from orchestrator.tracking.json_events import EventTracker
    from orchestrator.tracking.lasting_stream import LastingStream
    from orchestrator.tracking.terminal import draws

    output, errors = (cast("TextIO", LastingStream(stream)) for stream in (sys.stdout, sys.stderr))
    console = Console(file=errors if options.json else output, highlight=False)
    expected_rows = len(spec.rows) + spec.search.trials if spec.search is not None and selection is None else 0

    shown: list[ConsoleTracker] = []

    def make_trackers(todo: Sequence[Trial]) -> list[Tracker]:
        expected = CostBook(directory.local_folder / CACHE).expected(todo)
        shown.append(ConsoleTracker(console, expected, expected_rows))
        return [*shown, EventTracker(output)] if options.json else [*shown]

    def show(files: Mapping[str, Path], draw: Callable[[], RenderableType]) -> None:
        if options.json:
            return
        if draws(console):
            shown[0].show_table(draw())
        elif "markdown" in files:
            shown[0].show_table(Text(files["markdown"].read_text(encoding="utf-8")))

    run_options = RunOptions(**{item.name: getattr(options, item.name) for item in fields(RunOptions)})
    outcome = carry_out(spec, plan, run_options, make_trackers, selection, command_of(options), show)
    print_summary(outcome, options, console)
    return DONE if outcome.fulfilled else UNFINISHED


def command_of(options: argparse.Namespace) -> str:
    """The command line of the whole sweep, without options that select trials or change the output."""
    words = ["python", "-m", "orchestrator.sweep", str(options.spec)]
    for setting in options.set:
        words += ["--set", setting]
    for entry in options.data:
        words += ["--data", entry]
    defaults = build_parser().parse_args([str(options.spec)])
    for name in ("recipe", "seeds", "name", "run_dir", "out", "tracking_uri"):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", without_password(str(value))]  # the record store keeps it
    return shlex.join(words)


def print_summary(outcome: SweepOutcome, options: argparse.Namespace, console: Console) -> None:
    """The last lines: which trials are missing and why, where to look, and what MLflow lacks."""
    from rich.text import Text

    from orchestrator.tracking.terminal import draws

    def tell(line: str, style: str = "") -> None:
        console.print(Text(line, style=style), soft_wrap=not draws(console))

    missing = outcome.missing
    for trial_id in missing[:MOST_MISSING_LISTED]:
        record = outcome.outcomes.get(trial_id)
        reason = "not run" if record is None else record.state.words
        if record is not None and record.error is not None:
            reason += f" ({record.error.summary})"
        label = outcome.plan.record.label_of(trial_id)
        tell(f"missing: {label} [{trial_id}]: {reason}")
    if len(missing) > MOST_MISSING_LISTED:
        more = (
            f"missing: {len(missing) - MOST_MISSING_LISTED} more; `python -m orchestrator status {options.spec} "
            f"--name {outcome.plan.record.name}` lists"
        )
        console.print(Text(f"{more} all"), soft_wrap=True)
    if outcome.halted:
        tell(f"stopped: {outcome.halted}", "red")
    for line in outcome.failures:
        tell(f"not done: {line}", "red")
    for place in closing_lines(outcome, options, console):
        console.print(place, soft_wrap=True)  # so that it can be copied
    if outcome.mirror_failure is not None or outcome.mirror_lacks:
        console.print(Text(describe_lacking(outcome, options), style="yellow"), soft_wrap=True)


def closing_lines(outcome: SweepOutcome, options: argparse.Namespace, console: Console) -> list[Text]:
    """Where the results of the sweep are, a line for each place: the page, and MLflow."""
    from rich.text import Text

    from orchestrator.commands.written_files import where_written

    lines = [where_written(outcome.files, brief=console.is_terminal)] if outcome.files else []
    if (link := outcome.mlflow_link) is not None:
        served = "" if tracking_uri_of(options.tracking_uri).startswith("http") else f" (with {UI})"
        lines.append(Text.assemble(f"MLflow{served}: ", (link, f"link {link}")))
    return lines


def describe_lacking(outcome: SweepOutcome, options: argparse.Namespace) -> str:
    """What MLflow lacks, why, and the command that delivers it."""
    lacks = outcome.mirror_lacks or "a part"
    reason = f" ({outcome.mirror_failure})" if outcome.mirror_failure else ""
    name = outcome.plan.record.name
    command = f"python -m orchestrator sync {options.spec} --name {name} --run-dir {options.run_dir}"
    if options.tracking_uri:
        command += f" --tracking-uri {without_password(options.tracking_uri)}"
    return f"MLflow lacks {lacks} of {name}{reason}; deliver it with `{command}`"


if __name__ == "__main__":
    sys.exit(main())
