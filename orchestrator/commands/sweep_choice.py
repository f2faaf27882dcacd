"""Which sweep a command is about: the options that name it, shared by status, why, sync and the reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.spec.sweep_spec import read_spec, read_sweep_name
from orchestrator.store.run_directory import RunDirectory

__all__ = ["add_choice", "chosen_name"]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that are part of a sweep's name."""
    parser.add_argument("--recipe", metavar="NAME|PATH", help="as for the sweep")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the sweep")
    parser.add_argument("--seeds", metavar="N", help="as for the sweep")
    parser.add_argument("--name", metavar="NAME", help="name of the sweep, as its commands and tables show it")


def chosen_name(spec: Path, options: argparse.Namespace) -> tuple[str, bool]:
    """The name of the sweep of `spec` with these options, and whether it is exact.

    Without any option a search space means its only recorded sweep. Raises SpecError for a wrong file or option.
    """
    exact = any((options.recipe, options.set, options.seeds, options.name))
    given = {"recipe": options.recipe, "settings": options.set, "seeds": options.seeds, "name": options.name}
    name = read_sweep_name(spec, **given)
    if name.by_hand or not name.contents:
        return name.text, exact
    from orchestrator.planning.naming import plan_in  # a name that depends on the data needs the data

    return plan_in(RunDirectory(options.run_dir), read_spec(spec, **given)).record.name, exact
