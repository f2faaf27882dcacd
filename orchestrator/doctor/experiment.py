"""Checks of what trials need: MLflow's store, recipes, and what the workload needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.doctor.finding import Check, Problem, Question, existing
from orchestrator.errors import SpecError, SweepError
from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.resolve import resolve_bound, resolve_row
from orchestrator.redaction import without_password
from orchestrator.spec.recipes import recipe_directories, recipe_name
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.spec.workload_key import workload_of_file
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import built_in

__all__ = ["check_mlflow", "check_of_workload", "check_recipes", "check_search_space", "workload_of_space"]


def check_mlflow(question: Question) -> str:
    """MLflow's store can be read, and nothing in it keeps a sweep from writing."""
    name, database = without_password(question.store), question.database
    if database is not None and not database.exists():
        folder = existing(database.absolute().parent)
        if folder != database.absolute().parent:
            raise Problem(f"{name}: its folder does not exist", f"mkdir -p {database.absolute().parent}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Problem(f"{name}: {folder} cannot be written", "make it writable, or name another --tracking-uri")
        return f"{name}: a sweep will create it"
    from orchestrator.tracking.mlflow_store import Server

    try:
        Server(question.store, create=False)
    except SweepError as error:
        if "no experiment" in str(error):
            return f"{name}: no sweep yet"
        text, _, remedy = str(error).partition("; ")
        raise Problem(text, remedy or "look into MLflow's log") from error
    return name


def check_recipes(question: Question) -> str:
    """Recipes are found, and where."""
    spec = question.spec or Path("SPEC.yaml")
    counts = {
        folder: len({recipe_name(path, spec) for path in folder.rglob("*.yaml")}) for folder in recipe_directories(spec)
    }
    found = [f"{count} in {folder}" for folder, count in counts.items() if count]
    if not found:
        folder = recipe_directories(spec)[-1]
        raise Problem(f"none in {folder}, which comes with the project", "install the project again")
    return ", ".join(found)


def check_search_space(question: Question) -> str:
    """The search space has no mistake."""
    if question.spec is None:
        return "none given; `doctor SPEC.yaml` looks at one"
    try:
        configs = configs_of(question)
    except SpecError as error:
        first, *others = error.messages
        more = f" (and {len(others)} more)" if others else ""
        text, _, remedy = first.partition("; ")
        raise Problem(text + more, remedy or "correct it") from error
    return f"{question.spec}: {len(configs)} configuration{'' if len(configs) == 1 else 's'}"


def configs_of(question: Question) -> list[Any]:
    """The configuration of each row; none without a search space. Raises SpecError."""
    if question.spec is None:
        return []
    read = read_spec(question.spec, recipe=question.recipe, data=question.data, settings=question.settings)
    builder = ConfigBuilder(read.workload, read.extension)
    if read.search is None:
        return [resolve_row(data.base, builder, row).config for data in read.data_sets for row in read.rows]
    bounds = [(parameter, bound) for parameter in read.search.parameters for bound in parameter.bounds()]
    return [resolve_bound(read.search, read.base, builder, bound).config for bound in bounds]


def known_configs(question: Question) -> list[Any]:
    """`configs_of`; none for a search space with mistakes, which `check_search_space` reports."""
    try:
        return configs_of(question)
    except SpecError:
        return []


def check_of_workload(check: Callable[[Sequence[Any]], str]) -> Check:
    """A check of a workload (`Extras.checks`) as one of ours."""

    def ask(question: Question) -> str:
        try:
            return check(known_configs(question))
        except ValueError as error:
            text, _, remedy = str(error).partition("; ")
            raise Problem(text, remedy or "correct it") from error

    return ask


def workload_of_space(path: Path | None) -> LoadedWorkload:
    """The workload of a search space; the built-in one without a search space, or if its workload cannot be loaded.

    Then the check of the search space says why.
    """
    if path is None:
        return built_in()
    try:
        return workload_of_file(path)
    except (SweepError, SystemExit):
        return built_in()
