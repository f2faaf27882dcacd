"""JSON Schemas of search spaces and recipes, so that editors complete and check them.

They are made from the types that check the files (`orchestrator.spec.schema`) and from the trainer's configuration; the
docstrings of fields become descriptions. Rules that span several keys are left to `--dry-run`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_type_hints

from orchestrator.spec.schema import (
    BudgetModel,
    Door,
    MetricModel,
    ParameterModel,
    ResourcesModel,
    RetriesModel,
    SchedulerModel,
    SpecModel,
    TableModel,
    TrackingModel,
)
from orchestrator.spec.settings import Leaf, adapter, config_leaves, number_type
from trainer.config import TrainConfig

__all__ = ["recipe_schema", "search_space_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SETTINGS = "settings"
"""Name of the definition of a block of settings; `settings.contrast` is that of the block below."""
ANY_LABEL = {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{SETTINGS}"}}
NUMBERS = ("min", "max", "distribution", "step")
MODELS: tuple[type[Door], ...] = (
    *(MetricModel, TableModel, ResourcesModel, BudgetModel, RetriesModel, SchedulerModel),
    *(ParameterModel, TrackingModel, SpecModel),
)

Schema = dict[str, Any]


def search_space_schema() -> Schema:
    """The schema of a search space."""
    schema = SpecModel.model_json_schema()
    definitions: Schema = schema.pop("$defs")
    properties: Schema = schema["properties"]
    describe(schema, SpecModel)
    for model in MODELS:
        if model.__name__ in definitions:
            describe(definitions[model.__name__], model)
    one_metric = {"$ref": "#/$defs/MetricModel"}
    properties["metric"] |= {"anyOf": [one_metric, {"type": "array", "items": one_metric, "minItems": 1}]}
    for key in ("type", "items", "minItems", "default"):
        properties["metric"].pop(key, None)
    rows = {"type": "object", "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{SETTINGS}"}, {"type": "null"}]}}
    parameter = definitions.pop("ParameterModel")["properties"]
    definitions |= {f"parameter.{name}": parameter[name] for name in NUMBERS}
    blocks = {
        "rows": rows,
        "leave_one_out": ANY_LABEL,
        "one_at_a_time": by_key(list_schema),
        "parameters": by_key(parameter_schema),
        "when": by_key(lambda _: {"$ref": "#/$defs/condition"}),
        "skip": {"type": "array", "items": {"$ref": f"#/$defs/{SETTINGS}"}},
        "fixed": {"$ref": f"#/$defs/{SETTINGS}"},
        "baseline": {"anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{SETTINGS}"}]},
    }
    for key, block in blocks.items():
        properties[key] = {"description": properties[key]["description"], **block}
    definitions["condition"] = by_key(list_schema)
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    return framed("A search space of contrast-sweep", schema, {**definitions, **settings_definitions()})


def recipe_schema() -> Schema:
    """The schema of a recipe: settings, and `extends`."""
    definitions = settings_definitions()
    schema = definitions.pop(SETTINGS)
    extends = search_space_schema()["properties"]["extends"]
    return framed(
        "A recipe of contrast-sweep", schema | {"properties": {"extends": extends, **schema["properties"]}}, definitions
    )


def framed(title: str, schema: Schema, definitions: Schema) -> Schema:
    """A whole schema with its definitions in a fixed order."""
    ordered = {name: definitions[name] for name in sorted(definitions)}
    return {"$schema": DIALECT, **without_titles(schema), "title": title, "$defs": without_titles(ordered)}


def without_titles(schema: Any) -> Any:
    """A schema without pydantic's titles, which repeat the keys, and without defaults of null or whole blocks."""
    if isinstance(schema, list):
        return [without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    noise = {"title"} if isinstance(schema.get("title"), str) else set()
    if "default" in schema and (schema["default"] is None or "$ref" in schema):
        noise.add("default")
    return {key: without_titles(value) for key, value in schema.items() if key not in noise}


def describe(schema: Schema, model: type[Door]) -> None:
    """Add the docstrings of a model and of its fields."""
    schema["description"] = " ".join(str(inspect.getdoc(model)).split())
    for name, text in field_docs(model).items():
        schema["properties"][name] = {"description": text, **schema["properties"][name]}


def by_key(block: Callable[[Leaf], Schema]) -> Schema:
    """An object with a property for each key of the trainer; `block` gives its schema."""
    properties = {key: block(leaf) for key, leaf in config_leaves().items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def leaf_reference(leaf: Leaf) -> Schema:
    """The values of a key."""
    return {"$ref": f"#/$defs/{leaf.key}"}


def list_schema(leaf: Leaf) -> Schema:
    """Values of a key, at least one."""
    return {"type": "array", "items": leaf_reference(leaf), "minItems": 1}


def parameter_schema(leaf: Leaf) -> Schema:
    """A factor with values of the right type; ranges only for numbers."""
    value = leaf_reference(leaf)
    ranges = NUMBERS if number_type(leaf.annotation) is not None else ()
    properties = {
        "values": {"type": "array", "items": value, "minItems": 1},
        "value": value,
        **{name: {"$ref": f"#/$defs/parameter.{name}"} for name in ranges},
    }
    return {"type": "object", "properties": properties, "additionalProperties": False, "minProperties": 1}


def settings_definitions() -> Schema:
    """Definitions of each key's values and of each block of settings, nested or dotted."""
    definitions: Schema = {leaf.key: leaf_schema(leaf) for leaf in config_leaves().values()}
    for prefix, block in config_blocks(TrainConfig, ""):
        properties: Schema = {}
        for key in config_leaves():
            parts = key.removeprefix(prefix).split(".") if key.startswith(prefix) else []
            for count in range(1, len(parts)):
                name = ".".join(parts[:count])
                properties.setdefault(name, {"$ref": f"#/$defs/{SETTINGS}.{prefix}{name}"})
            if parts:
                properties[".".join(parts)] = {"$ref": f"#/$defs/{key}"}
        definitions[f"{SETTINGS}.{prefix}".rstrip(".")] = {
            "description": " ".join(str(inspect.getdoc(block)).split()),
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
    return definitions


def config_blocks(config_type: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Prefix of the keys and class of each block of a config, itself first."""
    yield prefix, config_type
    for name, field_type in get_type_hints(config_type).items():
        if is_dataclass(field_type):
            yield from config_blocks(field_type, f"{prefix}{name}.")


def leaf_schema(leaf: Leaf) -> Schema:
    """Type and meaning of a key."""
    block, name = owner(leaf.key)
    return {"description": field_docs(block)[name], **adapter(leaf.annotation).json_schema()}


def owner(key: str) -> tuple[Any, str]:
    """The class that has a dotted key as its field, and the field's name."""
    *blocks, name = key.split(".")
    config_type: Any = TrainConfig
    for block in blocks:
        config_type = get_type_hints(config_type)[block]
    return config_type, name


@cache
def field_docs(documented: Any) -> Mapping[str, str]:
    """The docstring below each field of a class; a field without one goes by its name."""
    docs: dict[str, str] = {}
    name = ""
    for item in ast.parse(textwrap.dedent(inspect.getsource(documented))).body[0].__dict__["body"]:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            docs[name] = name.replace("_", " ")
        elif name and isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
            docs[name], name = " ".join(str(item.value.value).split()), ""
    return docs
