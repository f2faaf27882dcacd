"""Write the JSON Schemas of search spaces and recipes, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.spec.json_schema import Schema, recipe_schema, search_space_schema

__all__ = ["PATHS", "as_text", "write_schemas"]

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


def as_text(schema: Schema) -> str:
    """The content of a schema file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
