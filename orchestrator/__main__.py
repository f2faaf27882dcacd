"""`python -m orchestrator COMMAND`: status, why, clean, verify, export, import, sync, ui, doctor, schema."""

from __future__ import annotations

from orchestrator.interrupts import exit_at_signals

if __name__ == "__main__":
    exit_at_signals()  # first, because the imports below take a second

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.commands.command_line import DONE, UNFINISHED, Parser, guarded
from orchestrator.commands.sweep_choice import add_choice, given_options, recorded_name, require_one_name
from orchestrator.machine.text_table import Line, print_parts
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.run_directory import RunDirectory
from orchestrator.workload.loading import built_in

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = build_parser().parse_args(argv)
    return guarded(lambda: int(options.run(options)))


def build_parser() -> Parser:
    """The commands and their options; the docstring of a command's function is its description."""
    parser = Parser(
        prog="python -m orchestrator",
        description="Inspect sweeps and clean up after them; `python -m orchestrator.sweep SPEC.yaml` runs them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=run.__doc__)
        command.set_defaults(run=run)
        return command

    status = add("status", show_status, "show how far sweeps are: rows, what runs now, failures, what to type next")
    add_specs(status)
    add_all(status, "show every row, and of failures the trials and a traceback")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.add_argument("--plans", action="store_true", help="list every plan the sweep has had, and what differs")
    why = add("why", show_reasons, "explain why trials would run or be reused")
    add_specs(why)
    add_all(why, "show each trial, field by field")
    clean = add("clean", clean_up, "delete trials that no plan refers to, and unneeded checkpoints")
    add_run_dir(clean)
    clean.add_argument(
        "--keep",
        choices=("all", "last", "best"),
        default="all",
        help="checkpoints to keep of finished trials that have two (default: all)",
    )
    clean.add_argument(
        "--forget-plans",
        nargs="?",
        const="all",
        metavar="SWEEP",
        help="let go of the earlier plans of this sweep (default: of all), and of trials that only they refer to",
    )
    clean.add_argument("--yes", action="store_true", help="delete; without it they are listed only")
    add_all(clean, "list each trial and file")
    sync = add("sync", synchronize, "copy to MLflow what it lacks of the run directory")
    sync.add_argument(
        "spec", nargs="?", default="all", metavar="SPEC.yaml|all", help="search space file; all: every sweep (default)"
    )
    add_choice(sync)
    add_run_dir(sync)
    add_tracking_uri(sync)
    sync.add_argument("--check", action="store_true", help="compare the two and write nothing")
    add_all(sync, "list every difference")
    verify = add("verify", verify_files, "check that every file of a run directory is what was written")
    verify.add_argument(
        "spec", nargs="?", default="all", metavar="SPEC.yaml|all", help="search space file; all: everything (default)"
    )
    add_choice(verify)
    add_run_dir(verify)
    verify.add_argument("--deep", action="store_true", help="also checkpoints, pictures and decoded data sets")
    add_all(verify, "list every damaged file")
    export = add(
        "export", export_results, "write a sweep's results to a file that others can verify, tabulate and extend"
    )
    export.add_argument("spec", type=Path, metavar="SPEC.yaml", help="search space file")
    export.add_argument("file", type=Path, metavar="FILE.zip", help="archive to write; an earlier archive is replaced")
    add_choice(export)
    add_run_dir(export)
    export.add_argument("--weights", action="store_true", help="also the last and best weights of each finished trial")
    get = add("import", import_results, "add the results of such a file to a run directory")
    get.add_argument("file", type=Path, metavar="FILE.zip", help="archive that `export` wrote")
    add_run_dir(get)
    get.add_argument("--spec", type=Path, metavar="SPEC.yaml", help="write its search space to this file")
    ui = add("ui", open_ui, "open MLflow's pages on this machine")
    ui.add_argument("spec", nargs="?", type=Path, metavar="SPEC.yaml", help="print the address of this sweep")
    add_choice(ui)
    add_run_dir(ui)
    ui.add_argument("--port", type=int, default=0, help="port (default: 5000 if it is free)")
    add_tracking_uri(ui)
    doctor = add("doctor", look_around, "check everything around a sweep that can keep it from running")
    doctor.add_argument("spec", nargs="?", type=Path, metavar="SPEC.yaml", help="check also what this sweep needs")
    doctor.add_argument("--recipe", metavar="NAME|PATH", help="as for the sweep")
    doctor.add_argument("--data", action="append", default=[], metavar="NAME|PATH", help="as for the sweep")
    doctor.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the sweep")
    add_run_dir(doctor)
    add_tracking_uri(doctor)
    doctor.add_argument("--address", metavar="ADDR", help="Ray cluster to join (default: a private one)")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    schema = add("schema", write_schema_files, "write the JSON Schemas of search spaces and recipes")
    schema.add_argument(
        "--with",
        nargs="+",
        default=[],
        dest="plugins",
        metavar="PLUGIN",
        help="print the schema of search spaces with the keys of these plugins instead; writes no file",
    )
    schema.add_argument(
        "--workload",
        metavar="FILE",
        help="the same with the keys of this workload: a .py file, a module, or a search space that names one",
    )
    return parser


def add_specs(parser: argparse.ArgumentParser) -> None:
    """The options of commands on sweeps."""
    parser.add_argument("specs", type=Path, nargs="+", metavar="SPEC.yaml", help="search space files")
    add_choice(parser)
    add_run_dir(parser)


def add_all(parser: argparse.ArgumentParser, what: str) -> None:
    """`--all`."""
    parser.add_argument("--all", action="store_true", help=f"{what} (default: a summary)")


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    """`--run-dir`."""
    parser.add_argument("--run-dir", default="runs", metavar="DIR|URL", help="run directory (default: runs)")


def add_tracking_uri(parser: argparse.ArgumentParser) -> None:
    """`--tracking-uri`."""
    parser.add_argument("--tracking-uri", metavar="URI", help="MLflow store (default: sqlite:///mlflow.db)")


def show_status(options: argparse.Namespace) -> int:
    """Show the status of sweeps, also while they run.

    The exit code is 0 when no trial has to run any more, or the sweep never ran, else 1.
    """
    from orchestrator.commands.show_status import show_plans, show_sweeps

    return show_plans(options) if options.plans else show_sweeps(options)


def show_reasons(options: argparse.Namespace) -> int:
    """Show how many trials would run or be reused and why; --all: each trial, and what differs from the closest one."""
    from orchestrator.commands.announced_plan import announced_plan
    from orchestrator.commands.why import describe_reasons
    from orchestrator.spec.workload_in_use import reading_for

    require_one_name(options, options.specs)
    directory = RunDirectory(options.run_dir)
    for number, path in enumerate(options.specs):
        spec = read_spec(path, **given_options(options))
        with reading_for(spec.workload):
            plan = announced_plan(directory, spec)
            separator = [""] if number else []
            print_parts([*separator, *describe_reasons(plan, directory, every=options.all)])
    return DONE


def clean_up(options: argparse.Namespace) -> int:
    """List trials that no plan of the run directory refers to and unneeded checkpoints; --yes deletes them.

    All plans that a sweep has had count. --forget-plans lists the earlier ones too, with the trials of theirs alone.
    """
    from orchestrator.commands.clean import clean
    from orchestrator.store.record_store import RecordStore

    store = RecordStore(options.run_dir)
    print_parts(clean(store, options.keep, delete=options.yes, forget=options.forget_plans, every=options.all))
    return DONE


def synchronize(options: argparse.Namespace) -> int:
    """Copy to MLflow what it lacks of the run directory; --check compares every metric point instead.

    The exit code is 1 when something was refused, or differs.
    """
    from orchestrator.commands.sync import describe_differences, describe_sync, differences, sync_sweeps

    if options.spec == "all":
        names = RunDirectory(options.run_dir).sweep_names()
    else:
        names = [recorded_name(Path(options.spec), options)]
        RunDirectory(options.run_dir).sweep(names[0])
    wrong = 0
    if options.check:
        for name in names:
            found = differences(options.run_dir, name, options.tracking_uri)
            wrong += len(found)
            print_parts(describe_differences(name, found, every=options.all))
        return UNFINISHED if wrong else DONE
    for done in sync_sweeps(options.run_dir, names, options.tracking_uri):
        wrong += len(done.refused)
        print_parts(describe_sync(done, every=options.all))
    return UNFINISHED if wrong else DONE


def verify_files(options: argparse.Namespace) -> int:
    """Check that plans, records, points and caches are what was written.

    --deep also checks checkpoints, pictures and the decoded data sets of this machine. The exit code is 1 when
    something is damaged.
    """
    from orchestrator.commands.verify import describe, verify, verify_local_cache

    directory = RunDirectory(options.run_dir)
    everything = options.spec == "all"
    names = directory.sweep_names() if everything else [recorded_name(Path(options.spec), options)]
    if not everything and names[0] not in directory.sweep_names():
        directory.sweep(names[0])  # raises
    found = verify(directory, names, everything=everything, deep=options.deep)
    cache = built_in().extras.cache
    if options.deep and cache is not None:
        verify_local_cache(cache, found)
    print_parts(describe(found, every=options.all))
    return UNFINISHED if found.damaged else DONE


def export_results(options: argparse.Namespace) -> int:
    """Write the plans, records, curves, pictures and digests of code of a sweep to one file, the same bytes each time.

    `python -m reports FILE.zip` writes its tables from the file alone, and `import` extends it elsewhere. A sweep may
    run meanwhile: trials that have not ended are left out.
    """
    from orchestrator.commands.export import export

    name = recorded_name(options.spec, options)
    print_parts(export(RunDirectory(options.run_dir), name, options.file, weights=options.weights))
    return DONE


def import_results(options: argparse.Namespace) -> int:
    """Verify an archive, add its results to a run directory, and say what can be typed next.

    Every digest is compared, and every trial id with its configuration. Nothing that is there is changed: where it
    differs from the archive, nothing is written.
    """
    from orchestrator.commands.import_archive import import_archive

    print_parts(import_archive(options.file, options.run_dir, options.spec))
    return DONE


def open_ui(options: argparse.Namespace) -> int:
    """Serve MLflow's pages for the database that sweeps write to, on this machine only, until Ctrl-C.

    The address is that of the list of all runs or, with SPEC.yaml, of the saved view of its sweep.
    """
    from orchestrator.commands.ui import serve

    sweep = None if options.spec is None else recorded_name(options.spec, options)
    return serve(options.tracking_uri, options.port, sweep)


def look_around(options: argparse.Namespace) -> int:
    """Check Python, the machine, folders, Ray, MLflow and recipes; each line is ok or says what to do.

    Also what the code that trains needs, such as weights and data; with SPEC.yaml, what its
    sweep needs. The exit code is 1 when there is a problem.
    """
    from orchestrator.doctor.examine import examine, findings_as_json, summary
    from orchestrator.doctor.experiment import workload_of_space
    from orchestrator.doctor.finding import Question

    question = Question(
        workload=workload_of_space(options.spec),
        run_dir=options.run_dir,
        tracking_uri=options.tracking_uri,
        address=options.address,
        spec=options.spec,
        recipe=options.recipe,
        data=tuple(options.data),
        settings=tuple(options.set),
    )
    findings = []
    for finding in examine(question):
        findings.append(finding)
        if not options.json:
            print_parts([Line(finding.line, "" if finding.ok else "red")])
    ok = all(finding.ok for finding in findings)
    if options.json:
        print(findings_as_json(findings))
    else:
        print_parts([Line(summary(findings), "bold" if ok else "bold red")])
    return DONE if ok else UNFINISHED


def write_schema_files(options: argparse.Namespace) -> int:
    """Write search_spaces/schema.json and search_spaces/recipes/schema.json below the current folder.

    With plugins or a workload, print the schema of search spaces that name them.
    """
    from orchestrator.commands.schema import schema_with, write_schemas

    if options.plugins or options.workload:
        print(schema_with(options.plugins, options.workload), end="")
    else:
        print("\n".join(map(str, write_schemas())))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
