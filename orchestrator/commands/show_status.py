"""`status` of one sweep or several, and `status --plans`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.commands.command_line import DONE, UNFINISHED
from orchestrator.commands.plans import plans_as_json, plans_as_text
from orchestrator.commands.status import SweepStatus, never_run_as_json, read_status, status_as_json
from orchestrator.commands.status_text import NextCommands, describe_never_run, overview, status_as_text
from orchestrator.commands.sweep_choice import given_words, recorded_name, require_one_name
from orchestrator.machine.text_table import Line, Part, print_parts
from orchestrator.store.run_directory import RunDirectory

__all__ = ["show_plans", "show_sweeps"]


def show_sweeps(options: argparse.Namespace) -> int:
    """Print the status of the sweeps that `options` name; returns the exit code."""
    specs = named_specs(options)
    directory, now = RunDirectory(options.run_dir), time.time()
    known = directory.sweep_names()
    statuses = {name: read_status(directory, name, now) if name in known else None for name in specs}
    code = UNFINISHED if any(item is not None and item.results.unfinished for item in statuses.values()) else DONE
    if options.json:
        print_json([status_as_json(item) if item else never_run_as_json(name) for name, item in statuses.items()])
        return code
    parts: list[Part] = []
    if len(statuses) > 1:
        parts += [overview(statuses), ""]
    for name, status in statuses.items():
        command = next_commands(specs[name], status, options)
        if status is None:
            parts.append(describe_never_run(name, str(directory), known, command.sweep))
        elif len(statuses) == 1 or options.all:
            parts += status_as_text(status, command, every=options.all)
            parts += [""] if len(statuses) > 1 else []
        elif status.results.unfinished and not status.running:
            parts.append(Line(f"next for {name}:", command=command.sweep))
    print_parts(parts)
    return code


def show_plans(options: argparse.Namespace) -> int:
    """Print every plan that the sweeps have had; returns the exit code."""
    specs = named_specs(options)
    directory = RunDirectory(options.run_dir)
    known = directory.sweep_names()
    if options.json:
        nothing: list[Any] = []
        print_json(
            [plans_as_json(directory, name) if name in known else {"sweep": name, "plans": nothing} for name in specs]
        )
        return DONE
    for number, (name, spec) in enumerate(specs.items()):
        separator = [""] if number else []
        if name in known:
            print_parts([*separator, *plans_as_text(directory, name, every=options.all)])
        else:
            command = next_commands(spec, None, options).sweep
            print_parts([*separator, describe_never_run(name, str(directory), known, command)])
    return DONE


def named_specs(options: argparse.Namespace) -> dict[str, Path]:
    """The search spaces by the names of their sweeps."""
    require_one_name(options, options.specs)
    return {recorded_name(spec, options): spec for spec in options.specs}


def next_commands(spec: Path, status: SweepStatus | None, options: argparse.Namespace) -> NextCommands:
    """The command lines that may follow; a sweep that was run by a command keeps its own."""
    # a sweep that was run from Python has no command line; options that only the sweep takes are unknown
    words = [str(spec), *given_words(options)]
    words += ["--run-dir", options.run_dir] if options.run_dir != "runs" else []
    programs = (("orchestrator.sweep",), ("reports",), ("orchestrator", "ui"))
    sweep, reports, ui = (shlex.join(["python", "-m", *program, *words]) for program in programs)
    recorded = "" if status is None else status.results.sweep.command
    return NextCommands(sweep=recorded or sweep, reports=reports, ui=ui)


def print_json(found: Sequence[Mapping[str, Any]]) -> None:
    """One object for one sweep, a list for several."""
    sys.stdout.write(f"{json.dumps(found[0] if len(found) == 1 else found, indent=1)}\n")
