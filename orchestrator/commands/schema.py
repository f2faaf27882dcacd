"""Write the JSON Schemas of search spaces and recipes, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.spec.json_schema import Schema, recipe_schema, search_space_schema
from orchestrator.spec.plugins import load_plugins
from orchestrator.spec.settings import extended_by
from orchestrator.spec.table_styles import drawn_with, load_styles

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


def schema_with(plugins: Sequence[str]) -> str:
    """The schema of search spaces with the keys of plugins, files or modules, as text. Raises SpecError."""
    named = [(name, "--with") for name in plugins]
    with drawn_with(load_styles(named)), extended_by(load_plugins(named)):
        return as_text(search_space_schema())


def as_text(schema: Schema) -> str:
    """The content of a schema file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
