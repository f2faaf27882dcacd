"""JSON Schemas of search spaces and recipes, so that editors complete and check them.

They come from the types that check the files (`orchestrator.spec.schema`) and from the trainer's configuration; the
docstrings of fields become descriptions. Rules that involve several keys are left to `--dry-run`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config

from orchestrator.plugins.table_style import FILES
from orchestrator.spec.data_entry import OWN_KEYS
from orchestrator.spec.recipe_file import SEARCH_BLOCK, Recipe
from orchestrator.spec.schema import BLOCKS, SearchSpace
from orchestrator.spec.settings import Leaf, adapter, config_leaves, number_type
from orchestrator.spec.table_styles import styles_in_use
from orchestrator.spec.workload_in_use import workload_in_use

__all__ = ["recipe_schema", "search_space_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SETTINGS = "settings"
"""Name of the definition of a block of settings; `settings.contrast` is that of the block below."""
ANY_SETTINGS = {"$ref": f"#/$defs/{SETTINGS}"}
DATA_ENTRY = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/data_set"}]}
NUMBERS = ("min", "max", "distribution", "step")

Schema = dict[str, Any]


def search_space_schema() -> Schema:
    """The schema of a search space."""
    for block in BLOCKS.values():
        read_docstrings(block)
    schema = TypeAdapter(SearchSpace).json_schema()
    definitions: Schema = schema.pop("$defs")
    properties: Schema = schema["properties"]
    parameter = definitions.pop("Parameter")["properties"]
    definitions |= {f"parameter.{name}": parameter[name] for name in NUMBERS}
    definitions["condition"] = by_key(list_schema)
    metric = {"$ref": "#/$defs/Objective"}
    blocks: Schema = {
        "metric": {"anyOf": [metric, {"type": "array", "items": metric, "minItems": 1}]},
        "rows": {"type": "object", "additionalProperties": {"anyOf": [ANY_SETTINGS, {"type": "null"}]}},
        "leave_one_out": {"type": "object", "additionalProperties": ANY_SETTINGS},
        "one_at_a_time": by_key(list_schema),
        "parameters": by_key(parameter_schema),
        "when": by_key(lambda _: {"$ref": "#/$defs/condition"}),
        "skip": {"type": "array", "items": ANY_SETTINGS},
        "fixed": ANY_SETTINGS,
        "data": {"anyOf": [DATA_ENTRY, {"type": "array", "items": DATA_ENTRY, "minItems": 1}]},
        "baseline": {"anyOf": [{"type": "string"}, ANY_SETTINGS]},
    }
    for key, block in blocks.items():
        properties[key] = {"description": properties[key]["description"], **block}
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    definitions["Table"]["properties"]["styles"]["items"]["enum"] = [*FILES, *styles_in_use()]
    settings = settings_definitions()
    own_keys = {key: {"type": "string", "description": text} for key, text in OWN_KEYS.items()}
    entry = {**settings[SETTINGS], "description": "A data set: settings on top of a recipe."}
    definitions["data_set"] = entry | {"properties": {**own_keys, **entry["properties"]}}
    return framed("A search space of contrast-sweep", schema, {**definitions, **settings})


def recipe_schema() -> Schema:
    """The schema of a recipe: settings, those of searches, and `extends`."""
    definitions = settings_definitions()
    extends = search_space_schema()["properties"]["extends"]
    search = {"description": field_docs(Recipe)[SEARCH_BLOCK], **ANY_SETTINGS}
    schema = definitions[SETTINGS]
    properties = {"extends": extends, SEARCH_BLOCK: search, **schema["properties"]}
    return framed("A recipe of contrast-sweep", schema | {"properties": properties}, definitions)


def framed(title: str, schema: Schema, definitions: Schema) -> Schema:
    """A whole schema with its definitions in a fixed order."""
    ordered = {name: definitions[name] for name in sorted(definitions)}
    return {"$schema": DIALECT, **tidied(schema), "title": title, "$defs": tidied(ordered)}


def tidied(schema: Any) -> Any:
    """A schema without pydantic's titles, which repeat the keys, and without defaults of null or whole blocks.

    Line breaks in descriptions become spaces.
    """
    if isinstance(schema, list):
        return [tidied(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    noise = {"title"} if isinstance(schema.get("title"), str) else set()
    if "default" in schema and (schema["default"] is None or "$ref" in schema):
        noise.add("default")
    kept = {key: tidied(value) for key, value in schema.items() if key not in noise}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept


def by_key(block: Callable[[Leaf], Schema]) -> Schema:
    """An object with a property for each key of the trainer; `block` gives its schema."""
    properties = {key: block(leaf) for key, leaf in config_leaves().items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def list_schema(leaf: Leaf) -> Schema:
    """Values of a key, at least one."""
    return {"type": "array", "items": {"$ref": f"#/$defs/{definition_of(leaf.key)}"}, "minItems": 1}


def parameter_schema(leaf: Leaf) -> Schema:
    """A factor with values of the right type; ranges only for numbers."""
    ranges = NUMBERS if number_type(leaf.annotation) is not None else ()
    properties = {
        "values": list_schema(leaf),
        "value": {"$ref": f"#/$defs/{definition_of(leaf.key)}"},
        **{name: {"$ref": f"#/$defs/parameter.{name}"} for name in ranges},
    }
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}


def settings_definitions() -> Schema:
    """Definitions of each key's values and of each block of settings, nested or dotted."""
    definitions: Schema = {definition_of(leaf.key): leaf_schema(leaf) for leaf in config_leaves().values()}
    blocks = {leaf.key.removesuffix(leaf.key.rpartition(".")[2]): leaf.block for leaf in config_leaves().values()}
    for prefix, block in {"": workload_in_use().config_type, **blocks}.items():
        properties: Schema = {}
        for key in config_leaves():
            parts = key.removeprefix(prefix).split(".") if key.startswith(prefix) else []
            for count in range(1, len(parts)):
                name = ".".join(parts[:count])
                properties.setdefault(name, {"$ref": f"#/$defs/{SETTINGS}.{prefix}{name}"})
            if parts:
                properties[".".join(parts)] = {"$ref": f"#/$defs/{definition_of(key)}"}
        definitions[f"{SETTINGS}.{prefix}".rstrip(".")] = {
            "description": inspect.getdoc(block),
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
    return definitions


def definition_of(key: str) -> str:
    """Name of the definition of a key; one of another workload could be named like a definition of ours."""
    return key if "." in key and key.partition(".")[0] not in (SETTINGS, "parameter") else f"key:{key}"


def leaf_schema(leaf: Leaf) -> Schema:
    """Type and meaning of a key; a field without a docstring is described by its name."""
    name = leaf.key.rpartition(".")[2]
    description = field_docs(leaf.block).get(name, name.replace("_", " "))
    return {"description": description, **adapter(leaf.annotation).json_schema()}


@cache
def field_docs(config_type: Any) -> dict[str, str]:
    """The docstring below each field of a config class; none of the settings of a script, which have no source."""
    read_docstrings(config_type)
    try:
        properties = TypeAdapter(config_type).json_schema()["properties"]
    except SyntaxError:  # its module is the search space
        return {}
    return {name: item["description"] for name, item in properties.items() if "description" in item}


def read_docstrings(block: Any) -> None:
    """Mark a dataclass so that pydantic takes over the docstrings of its fields; too slow to do it always."""
    known = getattr(block, "__pydantic_config__", ConfigDict())
    with_config(ConfigDict(**{**known, "use_attribute_docstrings": True}))(block)
