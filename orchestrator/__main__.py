"""`python -m orchestrator COMMAND`: look at a sweep (status, why), tidy its store (clean), MLflow (sync, ui)."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.commands.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.spec.sweep_spec import read_spec, sweep_name
from orchestrator.store.records import State
from orchestrator.store.run_directory import RunDirectory

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = build_parser().parse_args(argv)
    return guarded(lambda: int(options.run(options)))


def build_parser() -> Parser:
    """The command line (design.md, the commands)."""
    parser = Parser(
        prog="python -m orchestrator",
        description="Look at sweeps and tidy up after them; `python -m orchestrator.sweep SPEC.yaml` runs them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    status = commands.add_parser(
        "status", help="done, running, failed by signature, missing", description=status_of.__doc__
    )
    add_spec(status)
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=status_of)
    why = commands.add_parser("why", help="why each trial would run or be reused", description=why_of.__doc__)
    add_spec(why)
    why.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the sweep")
    why.add_argument("--seeds", metavar="N", help="as for the sweep")
    why.set_defaults(run=why_of)
    clean = commands.add_parser("clean", help="remove what no sweep refers to", description=clean_up.__doc__)
    clean.add_argument("--run-dir", default="runs", metavar="DIR|URL", help="record store (default: runs)")
    clean.add_argument(
        "--keep", choices=("all", "last", "best"), default="all", help="checkpoints of finished trials to keep (all)"
    )
    clean.add_argument("--yes", action="store_true", help="remove it, instead of showing it")
    clean.set_defaults(run=clean_up)
    sync = commands.add_parser("sync", help="bring MLflow up to the run directory", description=sync_up.__doc__)
    sync.add_argument(
        "spec", nargs="?", default="all", metavar="SPEC.yaml|all", help="the search space; all: every sweep (default)"
    )
    sync.add_argument("--recipe", metavar="NAME|PATH", help="as for the sweep")
    sync.add_argument("--run-dir", default="runs", metavar="DIR|URL", help="run directory (default: runs)")
    sync.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite:///mlflow.db)")
    sync.add_argument("--check", action="store_true", help="compare only, write nothing")
    sync.set_defaults(run=sync_up)
    ui = commands.add_parser("ui", help="MLflow's pages on this machine", description=open_ui.__doc__)
    ui.add_argument("--port", type=int, default=0, help="default: a free one")
    ui.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite:///mlflow.db)")
    ui.set_defaults(run=open_ui)
    return parser


def add_spec(parser: argparse.ArgumentParser) -> None:
    """What commands on one sweep share."""
    parser.add_argument("spec", type=Path, metavar="SPEC.yaml", help="the search space")
    parser.add_argument("--recipe", metavar="NAME|PATH", help="as for the sweep")
    parser.add_argument("--run-dir", default="runs", metavar="DIR|URL", help="record store (default: runs)")


def status_of(options: argparse.Namespace) -> int:
    """Show how a sweep stands, also while it runs. Exit code 0 when every trial is done, else 1."""
    from orchestrator.commands.status import read_status, show_status

    sweep = RunDirectory(options.run_dir).sweep(sweep_name(options.spec, options.recipe))
    status = read_status(options.run_dir, sweep, time.time())
    complete = status.count(State.DONE, State.STOPPED) == len(status.trial_ids)
    if options.json:
        print(
            json.dumps(
                {
                    "sweep": sweep.name,
                    "trials": len(status.trial_ids),
                    "done": status.count(State.DONE),
                    "running": [trial.trial_id for trial in status.running],
                    "failed": {
                        group.error.signature: {"state": group.state.value, "trials": list(group.trial_ids)}
                        for group in status.failures
                    },
                    "missing": list(status.missing),
                },
                indent=1,
            )
        )
    else:
        print("\n".join(show_status(status, sweep.command or command_like(options))))
    return DONE if complete else UNFINISHED


def command_like(options: argparse.Namespace) -> str:
    """The command line of a sweep that was run from Python, as far as it can be told."""
    recipe = ["--recipe", options.recipe] if options.recipe else []
    return shlex.join(
        ["python", "-m", "orchestrator.sweep", str(options.spec), *recipe, "--run-dir", str(options.run_dir)]
    )


def why_of(options: argparse.Namespace) -> int:
    """Say for each trial why it would run or be reused, and in which fields it differs from what is there."""
    from orchestrator.commands.why import explain, finished_identities, identity_of, show_reason
    from orchestrator.planning.plan import plan_sweep
    from orchestrator.store.backends import local_folder

    spec = read_spec(options.spec, recipe=options.recipe, settings=options.set, seeds=options.seeds)
    plan = plan_sweep(spec, run_dir=local_folder(options.run_dir))
    outcomes = RunDirectory(options.run_dir).outcomes([trial.trial_id for trial in plan.trials])
    identities = [identity_of(trial) for trial in plan.trials]
    reasons = explain(identities, outcomes, finished_identities(options.run_dir))
    labels = {cell.trial_id: f"{cell.row}, seed {cell.seed}" for cell in reversed(plan.record.cells)}
    for reason in reasons:
        print(show_reason(reason, labels[reason.trial.trial_id]))
    return DONE


def clean_up(options: argparse.Namespace) -> int:
    """Show trials that no sweep of the store refers to and checkpoints not to be kept; with --yes remove them."""
    from orchestrator.store.backends import open_files
    from orchestrator.store.cleanup import superfluous, unreferenced
    from orchestrator.store.record_store import RecordStore

    trials = unreferenced(options.run_dir)
    gone = {item.trial_id for item in trials}
    kept = [name for name in open_files(options.run_dir).names("trials") if name not in gone]
    files = superfluous(options.run_dir, kept, options.keep)
    for item in (*trials, *files):
        print(f"{item.key}  {item.size / 1e6:.1f} MB")
    size = sum(item.size for item in (*trials, *files)) / 1e6
    what = f"{len(trials)} trials that no sweep refers to and {len(files)} checkpoints, {size:.1f} MB"
    if not options.yes or not (trials or files):
        print(f"{what}{'; --yes removes them' if trials or files else ''}")
        return DONE
    store = RecordStore(options.run_dir)
    with store.lock():
        removed = [*store.clean(gone), *store.prune(kept, options.keep)]
    print(f"removed {len(removed)} of them, {sum(item.size for item in removed) / 1e6:.1f} MB")
    return DONE


def sync_up(options: argparse.Namespace) -> int:
    """Deliver to MLflow what it lacks of sweeps in the run directory; with --check only compare every metric point.

    Exit code 1 when something could not be delivered, or differs.
    """
    from orchestrator.commands.sync import differences, sync_sweeps

    if options.spec == "all":
        names = RunDirectory(options.run_dir).sweep_names()
    else:
        names = [sweep_name(Path(options.spec), options.recipe)]
        RunDirectory(options.run_dir).sweep(names[0])
    wrong = 0
    if options.check:
        for name in names:
            found = differences(options.run_dir, name, options.tracking_uri)
            wrong += len(found)
            print("\n".join(f"{name}: {line}" for line in found or ["MLflow and the run directory are equal"]))
        return UNFINISHED if wrong else DONE
    for done in sync_sweeps(options.run_dir, names, options.tracking_uri):
        wrong += len(done.refused)
        trials = len(done.sweep.trial_ids)
        print(f"{done.sweep.name}: {len(done.delivered)} of {trials} trials delivered, MLflow had the others")
        print("".join(f"  refused: {key}: {reason}\n" for key, reason in done.refused.items()), end="")
    return UNFINISHED if wrong else DONE


def open_ui(options: argparse.Namespace) -> int:
    """Serve MLflow's pages for the database that sweeps write to, on this machine only, until Ctrl-C."""
    from orchestrator.commands.ui import serve

    return serve(options.tracking_uri, options.port)


if __name__ == "__main__":
    sys.exit(main())
