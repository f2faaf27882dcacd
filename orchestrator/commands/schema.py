"""`python -m orchestrator.commands.schema`: write the JSON Schemas of search spaces and recipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.commands.command_line import DONE, guarded
from orchestrator.spec.json_schema import Schema, recipe_schema, search_space_schema

__all__ = ["PATHS", "as_text", "main"]

PATHS: Mapping[str, Path] = {
    "search space": Path("search_spaces/schema.json"),
    "recipe": Path("search_spaces/recipes/schema.json"),
}
"""Where the schemas lie, from the root of the project."""


def main() -> int:
    """Write both files below the current folder."""
    schemas = {"search space": search_space_schema(), "recipe": recipe_schema()}
    for name, path in PATHS.items():
        path.write_text(as_text(schemas[name]), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return DONE


def as_text(schema: Schema) -> str:
    """The file's content."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(guarded(main))
