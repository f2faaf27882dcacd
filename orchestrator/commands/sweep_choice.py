"""Which sweep a command is about: the options that name it, shared by status, why, sync and the reports."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.plugins.table_style import TableStyle
from orchestrator.spec.named_plugin import NamedPlugin
from orchestrator.spec.sweep_spec import plugins_of, read_spec, read_sweep_name
from orchestrator.spec.table_styles import load_styles
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import find_name

__all__ = [
    "add_choice",
    "chosen_name",
    "chosen_styles",
    "given_options",
    "given_words",
    "recorded_name",
    "require_one_name",
]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that are part of a sweep's name."""
    parser.add_argument("--recipe", metavar="NAME|PATH", help="as for the sweep")
    parser.add_argument("--data", action="append", default=[], metavar="NAME|PATH", help="as for the sweep")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the sweep")
    parser.add_argument("--seeds", metavar="N", help="as for the sweep")
    parser.add_argument("--name", metavar="NAME", help="name of the sweep, as its commands and tables show it")


def chosen_name(spec: Path, options: argparse.Namespace) -> tuple[str, bool]:
    """The name of the sweep of `spec` with these options, and whether it is exact.

    Without any option a search space means its only recorded sweep. Raises SpecError for a wrong file or option.
    """
    exact = any((options.recipe, options.data, options.set, options.seeds, options.name))
    given = given_options(options)
    name = read_sweep_name(spec, **given)
    if name.by_hand or not name.contents:
        return name.text, exact
    from orchestrator.commands.announced_plan import announced_plan  # a name that depends on the data needs the data

    return announced_plan(RunDirectory(options.run_dir), read_spec(spec, **given)).record.name, exact


def recorded_name(spec: Path, options: argparse.Namespace) -> str:
    """The name of the recorded sweep that the options mean; that of `chosen_name` if none is recorded."""
    name, exact = chosen_name(spec, options)
    directory = RunDirectory(options.run_dir)
    return name if exact else find_name(name, directory.sweep_names(), str(directory))


def require_one_name(options: argparse.Namespace, specs: Sequence[Path]) -> None:
    """Raise SpecError where `--name`, the name of one sweep, is given with several files."""
    if options.name and len(specs) > 1:
        raise SpecError(f"--name {options.name}: the name of one sweep; give one SPEC.yaml")


def chosen_styles(
    specs: Sequence[Path], options: argparse.Namespace, plugins: Sequence[str]
) -> Mapping[str, TableStyle]:
    """The table styles of the plugins that search spaces name, and of further `plugins` (`--with`), by name.

    Raises SpecError for a wrong plugin.
    """
    named = [NamedPlugin(name=name, origin="--with") for name in plugins]
    for spec in specs:
        named += plugins_of(spec, recipe=options.recipe, data=options.data)
    return load_styles(named)


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """The options that are part of a sweep's name, as `read_spec` takes them."""
    names = {"recipe": options.recipe, "data": options.data, "settings": options.set}
    return {**names, "seeds": options.seeds, "name": options.name}


def given_words(options: argparse.Namespace) -> list[str]:
    """The same options as words of a command line."""
    words = [word for setting in options.set for word in ("--set", setting)]
    words += [word for entry in options.data for word in ("--data", entry)]
    for option in ("recipe", "seeds", "name"):
        words += [f"--{option}", getattr(options, option)] if getattr(options, option) else []
    return words
