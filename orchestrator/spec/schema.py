"""What a search space file may say, as typed blocks; `orchestrator.spec.parsing` makes them of its unchecked values.

The type of a field is its validator and its JSON Schema; the docstring below it is its description.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from orchestrator.spec import validators as checks
from orchestrator.spec.blocks import (
    Budget,
    Count,
    Resources,
    Retries,
    Scheduler,
    StrictBlock,
    Table,
    Tracking,
    Until,
)
from orchestrator.spec.data_entry import ENTRY_SCHEMA, DataEntry, read_entry
from orchestrator.spec.distributions import Objective, RangeKind
from orchestrator.spec.settings import SettingsBlock, quoted, read_block
from orchestrator.spec.validators import README
from orchestrator.spec.yaml_document import Block, Document, KeyPath

__all__ = ["BLOCKS", "Parameter", "SearchSpace", "lacks"]

NOT_GIVEN: Any = object()
"""The `value` of a parameter that has none; null is a value."""

SEEDS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": checks.MAX_SEEDS},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
        {
            "type": "object",
            "properties": {
                "min": {"type": "integer", "minimum": 3, "maximum": checks.MAX_SEEDS},
                "max": {"type": "integer", "minimum": 3, "maximum": checks.MAX_SEEDS},
                "until": {"const": "decided"},
            },
            "required": ["until"],
            "additionalProperties": False,
        },
    ]
}
WORKLOAD_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "command": {"type": "string"},
                "settings": {
                    "type": "object",
                    "additionalProperties": {"type": ["boolean", "number", "string"]},
                    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                },
                "metrics": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {
                        "type": ["object", "null"],
                        "properties": {
                            "title": {"type": "string"},
                            "unit": {"type": "string"},
                            "direction": {"enum": ["max", "min"]},
                            "decimals": {"type": "integer", "minimum": 0, "maximum": 12},
                            "column": {"type": "boolean"},
                        },
                        "additionalProperties": False,
                    },
                },
                "inputs": {"type": "array", "items": {"type": "string"}},
                "steps": {"type": "string"},
            },
            "required": ["command", "metrics"],
            "additionalProperties": False,
        },
    ]
}
FILES_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


def settings_block(value: Any) -> SettingsBlock:
    """A block of settings of the trainer."""
    if isinstance(value, Block):
        return read_block(value)
    raise ValueError(f"must be a block of `key: value` lines, not {quoted(value)}; see {README}")


def row_settings(value: Any) -> SettingsBlock:
    """The settings of a row; one without settings is the recipe as it is."""
    return SettingsBlock() if value is None else settings_block(value)


def read_baseline(value: Any) -> str | SettingsBlock:
    """The label of a row, or the settings of an extra one."""
    if isinstance(value, str):
        return value
    if isinstance(value, Block):
        return read_block(value)
    raise ValueError(f"must be the label of a row, not {quoted(value)}; put it in quotes")


def read_seeds(value: Any) -> tuple[int, ...] | Until:
    """Seeds as they are given, or how many at least and at most."""
    if not isinstance(value, Block):
        return checks.seed_list(value)
    first, last = checks.seed_range(value)
    return Until(first=first, last=last)


Settings = Annotated[SettingsBlock, PlainValidator(settings_block), WithJsonSchema({})]
RowSettings = Annotated[SettingsBlock, PlainValidator(row_settings), WithJsonSchema({})]
Baseline = Annotated[str | SettingsBlock, PlainValidator(read_baseline), WithJsonSchema({})]
Number = Annotated[float, PlainValidator(checks.number), WithJsonSchema({"type": "number"})]
Step = Annotated[
    float, PlainValidator(checks.positive_number), WithJsonSchema({"exclusiveMinimum": 0, "type": "number"})
]
Entry = Annotated[DataEntry, PlainValidator(read_entry), WithJsonSchema(ENTRY_SCHEMA)]
Seeds = Annotated[tuple[int, ...] | Until, PlainValidator(read_seeds), WithJsonSchema(SEEDS_SCHEMA)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter(StrictBlock):
    """A factor: its values, a constant, or (in a search) the range it is drawn from."""

    values: tuple[Any, ...] | None = None
    """The values of a factor of a grid; the choices of a search."""
    value: Any = field(default_factory=lambda: NOT_GIVEN)
    """A constant."""
    min: Number | None = None
    """Smallest value, included."""
    max: Number | None = None
    """Largest value, included."""
    distribution: Annotated[RangeKind, BeforeValidator(checks.distribution_kind)] | None = None
    """How values are drawn between min and max; by default uniform, or int_uniform for a whole number."""
    step: Step | None = None
    """Distance between neighbouring values, from min on (uniform, int_uniform)."""

    def given(self) -> frozenset[str]:
        """Names of the fields that the file sets."""
        names = ("values", "min", "max", "distribution", "step")
        constant = () if self.value is NOT_GIVEN else ("value",)
        return frozenset((*constant, *(name for name in names if getattr(self, name) is not None)))


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace(StrictBlock):
    """A search space: the question of a sweep."""

    extends: Annotated[Any, WithJsonSchema(FILES_SCHEMA)] = None
    """Files, relative to this one, whose blocks are taken over; own keys win, later files win over earlier ones."""
    name: Annotated[str, Field(pattern=f"^{checks.NAME.pattern}$"), BeforeValidator(checks.file_name)] | None = None
    """Names the directories of the results; default: the name of the file."""
    question: str = ""
    """The question that the sweep answers."""
    workload: Annotated[Any, WithJsonSchema(WORKLOAD_SCHEMA)] = None
    """The code that trains: a .py file beside this one, an installed module, or a block with the command of a script
    (docs/own_trainer.md); default: the trainer of the project."""
    plugins: Annotated[
        tuple[str, ...], PlainValidator(lambda value: tuple(checks.plugin_names(value))), WithJsonSchema(FILES_SCHEMA)
    ] = ()
    """Python files beside this one, or installed modules, with samplers, miners, losses, heads, backbones, data sets
    and metrics of your own, which the settings can name (docs/own_method.md)."""
    recipe: str | None = None
    """Name or path of the recipe: data set, model and schedule; --recipe replaces it."""
    data: Annotated[tuple[Entry, ...] | None, BeforeValidator(checks.data_list)] = None
    """Data sets on which every row is trained: names of data sets or recipes, folders, or blocks with `name`, `recipe`
    and settings; --data replaces them."""
    method: Annotated[Literal["ablation", "grid", "random", "tpe"], BeforeValidator(checks.method_name)]
    """ablation: rows listed or generated; grid: all combinations; random, tpe: trials drawn from distributions."""
    metric: Annotated[
        tuple[Objective, ...],
        Field(min_length=1),
        BeforeValidator(lambda value: [value] if isinstance(value, Block) else value),
    ] = field(default_factory=lambda: (Objective(),))
    """What ranks the rows, by default final/miou, or val/miou in a search, which must not choose on the reported split;
    a search may have several, of which the first ranks the table."""
    seeds: Seeds = (0,)
    """Repetitions: how many times, or with which seeds, each row is trained; {min: 3, max: 10, until: decided} adds
    seeds to the rows that are not told apart from the baseline yet. A search has exactly one."""
    baseline: Baseline | None = None
    """Label of the row the others are compared with; or the settings of an extra row of that name."""
    rows: Mapping[str, RowSettings] | None = None
    """The rows of an ablation: label and settings."""
    one_at_a_time: Annotated[dict[str, tuple[Any, ...]], BeforeValidator(checks.not_a_boolean)] | None = None
    """Rows of an ablation: the baseline, and each of these values alone."""
    leave_one_out: Annotated[dict[str, Settings], BeforeValidator(checks.not_a_boolean)] | None = None
    """Rows of an ablation: full with all of these components, and one row without each."""
    parameters: dict[str, Parameter] | None = None
    """The factors of a grid or a search."""
    zip: tuple[tuple[str, ...], ...] | None = None
    """Groups of factors whose values are paired, first with first, instead of combined."""
    skip: tuple[Settings, ...] | None = None
    """Combinations of a grid that are left out."""
    when: dict[str, dict[str, tuple[Any, ...]]] | None = None
    """For a parameter, the values of other ones for which it is active; elsewhere it is not set."""
    trials: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(checks.counts_from(1))] | None = None
    """Trials of a search."""
    search_seed: Count = 0
    """Seed of the sampler of a search; the seed of its trials is in seeds."""
    scheduler: Scheduler | None = None
    """Which trials of a search are stopped early; none without it."""
    fixed: Settings | None = None
    """Settings for every row, on top of the recipe."""
    table: Table = field(default_factory=Table)
    """Caption, rows, columns and layout of the table."""
    resources: Resources = field(default_factory=Resources)
    """CPU cores, GPUs and processes of one trial."""
    budget: Budget = field(default_factory=Budget)
    """Limits at which the sweep stops cleanly, with trials left."""
    retries: Retries = field(default_factory=Retries)
    """How often a trial is retried, by the kind of its failure."""
    max_consecutive_failures: Count = 3
    """Failures of one kind in a row after which the sweep stops; 0: never."""
    tracking: Tracking = field(default_factory=Tracking)
    """Whether MLflow gets the checkpoints as well."""

    document: Document = field(init=False, repr=False, compare=False)
    mistakes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """One line each, with file, line and remedy."""
    left_out: frozenset[KeyPath] = field(init=False, repr=False, compare=False)
    """What the file has but is not here, because it is wrong."""

    def origin(self, *path: str | int) -> str:
        """`file:line` of what stands at `path`, or of the closest block around it."""
        return self.document.origin(*path)

    def has(self, key: str) -> bool:
        """Whether the file has the key, even with the value null."""
        return key in self.document.values

    def is_complete(self, *path: str | int) -> bool:
        """Whether nothing was left out of what stands at `path`: what is missing there is missing in the file."""
        return not lacks(path, self.left_out)


def lacks(path: KeyPath, left_out: Set[KeyPath]) -> bool:
    """Whether something at `path`, or below it, is among what was left out."""
    return any(wrong[: len(path)] == path for wrong in left_out)


BLOCKS: Mapping[str, type] = {
    "": SearchSpace,
    "metric": Objective,
    "table": Table,
    "resources": Resources,
    "budget": Budget,
    "retries": Retries,
    "scheduler": Scheduler,
    "parameters": Parameter,
    "tracking": Tracking,
}
"""Type of each block by its key; the whole file under the empty key."""
