"""Write the JSON Schemas of search spaces and recipes, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.spec.json_schema import Schema, recipe_schema, search_space_schema
from orchestrator.spec.named_plugin import NamedPlugin
from orchestrator.spec.plugins import load_plugins
from orchestrator.spec.settings import extended_by
from orchestrator.spec.table_styles import drawn_with, load_styles
from orchestrator.spec.workload_in_use import reading_for
from orchestrator.spec.workload_key import workload_of_file
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import WorkloadError, built_in, find, load

__all__ = ["PATHS", "as_text", "schema_with", "write_schemas"]

PATHS: Mapping[str, Path] = {
    "search space": Path("search_spaces/schema.json"),
    "recipe": Path("search_spaces/recipes/schema.json"),
}
"""Where the schemas are, relative to the root of the project."""


def write_schemas() -> tuple[Path, ...]:
    """Write both files below the current folder; returns their paths. Raises OSError when that is impossible."""
    schemas = {"search space": search_space_schema(), "recipe": recipe_schema()}
    for name, path in PATHS.items():
        path.write_text(as_text(schemas[name]), encoding="utf-8")
    return tuple(PATHS.values())


def schema_with(plugins: Sequence[str], workload: str | None = None) -> str:
    """The schema of search spaces with the keys of plugins, files or modules, and of a workload, as text.

    `workload` is a `.py` file or a module, or a search space, whose workload it is. Raises SpecError.
    """
    named = [NamedPlugin(name=name, origin="--with") for name in plugins]
    in_use = built_in() if workload is None else workload_named(workload)
    with reading_for(in_use), drawn_with(load_styles(named)), extended_by(load_plugins(named)):
        return as_text(search_space_schema())


def workload_named(name: str) -> LoadedWorkload:
    """The workload of a search space, in a `.py` file or in a module. Raises SpecError."""
    if Path(name).suffix in (".yaml", ".yml"):
        return workload_of_file(Path(name))
    try:
        return load(find(name, Path.cwd()))
    except WorkloadError as error:
        raise SpecError(f"--workload {name}: {error}") from error


def as_text(schema: Schema) -> str:
    """The content of a schema file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
