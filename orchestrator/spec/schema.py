"""What a search space file may say: the door through which its unchecked values pass (pydantic, strict).

Settings of the trainer (rows, parameters, fixed, a baseline) are checked by `settings`. The docstrings of
fields are the descriptions of the JSON Schema (`orchestrator.spec.json_schema`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import ErrorDetails

from orchestrator.spec import validators as checks
from orchestrator.spec.blocks import Processes, SchedulerKind
from orchestrator.spec.settings import closest, shown
from orchestrator.spec.validators import METHODS, README
from orchestrator.spec.yaml_document import Origins
from orchestrator.store.records import Layout

__all__ = ["Door", "MetricModel", "ParameterModel", "SpecModel", "check_document"]

Count = Annotated[int, Field(ge=0), BeforeValidator(checks.at_least(0))]
CountFromOne = Annotated[int, Field(ge=1), BeforeValidator(checks.at_least(1))]
CountFromTwo = Annotated[int, Field(ge=2), BeforeValidator(checks.at_least(2))]
Number = Annotated[float, BeforeValidator(checks.number)]
Positive = Annotated[float, Field(gt=0), BeforeValidator(checks.positive)]
FromZero = Annotated[float, Field(ge=0), BeforeValidator(checks.from_zero)]
Fraction = Annotated[float, Field(gt=0, lt=1), BeforeValidator(checks.fraction)]
Decimals = Annotated[int, Field(ge=0, le=9), BeforeValidator(checks.decimals)]
Settings = dict[str, Any]
"""Settings of the trainer, which `orchestrator.spec.settings` checks."""
TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
COUNT_OF_SEEDS = {"type": "integer", "minimum": 3, "maximum": checks.MAX_SEEDS}
SEEDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True}
SEEDS_UNTIL = {
    "type": "object",
    "properties": {"min": COUNT_OF_SEEDS, "max": COUNT_OF_SEEDS, "until": {"const": "decided"}},
    "required": ["until"],
    "additionalProperties": False,
}


class Door(BaseModel):
    """Base of all blocks: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class MetricModel(Door):
    """A final scalar that ranks the rows or guides a search, and which way is better."""

    name: str = "final/miou"
    """Name of the scalar, for example final/miou or cost/train_minutes."""
    goal: Literal["maximize", "minimize"] | None = None
    """Which way is better; maximize where not given."""
    mode: Literal["max", "min"] | None = None
    """Ray's word for goal."""

    @model_validator(mode="after")
    def check_agreement(self) -> Self:
        """Refuse a goal and a mode that contradict each other."""
        if self.goal and self.mode and not self.goal.startswith(self.mode):
            raise ValueError(f"goal {self.goal} contradicts mode {self.mode}; remove one of the two")
        return self


class TableModel(Door):
    """The table to draw."""

    caption: str = ""
    """Its caption; the protocol and the seeds are added."""
    label: str = ""
    """LaTeX label."""
    columns: list[str] | None = None
    """Final scalars, one column each."""
    published: str | None = None
    """Stem of a file in reports/published/ to show beside ours."""
    rows: Annotated[
        list[str] | int | None,
        BeforeValidator(checks.shown_rows),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, TEXTS]}),
    ] = None
    """Labels of the rows to show, in this order; or how many, best first. Default: all, of a search the best ten."""
    layout: Annotated[Layout, BeforeValidator(checks.any_of(("auto", "list", "groups", "matrix")))] = "auto"
    """list, groups (equal neighbours merged) or matrix (one factor down, one across); auto: what suits the method."""
    group: list[str] = []
    """Factors by which lines are grouped, or the one that runs down a matrix."""
    precision: dict[str, Decimals] = {}
    """Decimals by column, where they differ from the usual."""
    direction: dict[str, Annotated[Literal["up", "down"], BeforeValidator(checks.any_of(("up", "down")))]] = {}
    """Which way is better by column, up or down, where it differs from the usual."""
    split: Annotated[Literal["test", "val"], BeforeValidator(checks.any_of(("test", "val")))] = "test"
    """val: columns final/... show the validation split's figures (its last point) instead of the test split's."""
    intervals: Annotated[bool, BeforeValidator(checks.switch)] = False
    """A column with the 95 % interval and the p of each difference to the baseline."""


class ResourcesModel(Door):
    """What one trial takes of a machine."""

    cpus: Positive = 1
    """CPU cores."""
    gpus: Annotated[
        Any,
        BeforeValidator(checks.gpu_share),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "number", "minimum": 0}]}),
    ] = "auto"
    """GPUs: auto, a fraction up to 1, or a whole number."""
    processes: Annotated[Processes, BeforeValidator(checks.any_of(("auto", "warm", "fresh")))] = "auto"
    """warm: a process serves one trial after another; fresh: each has its own; auto: fresh on a GPU."""
    ranks: CountFromOne | None = None
    """Processes of one trial that train together; one per GPU where it takes several, else 1."""

    @model_validator(mode="after")
    def check_ranks(self) -> Self:
        """Refuse ranks that are not one per GPU."""
        if self.ranks and self.gpus != "auto" and self.gpus > 0 and self.ranks != max(self.gpus, 1):
            gpus = f"{self.gpus:g}"
            raise ValueError(f"ranks {self.ranks} contradicts gpus {gpus}, which means one rank per GPU; remove ranks")
        return self


class BudgetModel(Door):
    """When the sweep stops, cleanly, with trials left."""

    gpu_hours: Positive | None = None
    """Hours of GPUs, summed over the trials of this sweep."""
    wall_hours: Positive | None = None
    """Hours since the command was started."""
    trial_hours: Positive | None = None
    """Hours of one attempt at one trial; beyond them it is timed out."""


class RetriesModel(Door):
    """How often a trial is tried again, by the class of its failure."""

    lost: Count = 3
    """Its process or node died."""
    out_of_memory: Count = 3
    """The GPU was full; each time with a larger share of it."""
    timed_out: Count = 0
    """It took longer than budget.trial_hours."""
    back_off_seconds: FromZero = 5
    """Wait before the first new attempt; each further one waits twice as long."""


class SchedulerModel(Door):
    """Which trials are stopped before their last step."""

    kind: Annotated[SchedulerKind, BeforeValidator(checks.scheduler_kind)] = "asha"
    """asha, median or hyperband."""
    grace_fraction: Fraction = 0.25
    """Share of its steps that every trial runs; at least contrast.warmup_fraction."""
    reduction_factor: CountFromTwo = 3
    """One in so many goes on from a rung to the next (asha, hyperband)."""
    startup_trials: CountFromOne = 5
    """Trials that run to their end before any is stopped (median)."""


class ParameterModel(Door):
    """A factor: its levels, a constant, or (in a search) the range it is drawn from."""

    values: list[Any] | None = None
    """The levels of a grid; the choices of a search."""
    value: Any = None
    """A constant."""
    min: Number | None = None
    """Smallest value, included."""
    max: Number | None = None
    """Largest value, included."""
    distribution: (
        Annotated[
            Literal["uniform", "log_uniform", "int_uniform", "int_log_uniform"],
            BeforeValidator(checks.distribution_kind),
        ]
        | None
    ) = None
    """How values are drawn between min and max; uniform, or int_uniform for a whole number, where not given."""
    step: Positive | None = None
    """Distance of neighbouring values, from min on (uniform, int_uniform)."""


class TrackingModel(Door):
    """What MLflow gets besides figures and pictures."""

    models: Annotated[Literal["none", "best", "last"], BeforeValidator(checks.any_of(("none", "best", "last")))] = (
        "none"
    )
    """Checkpoint of each finished trial that is logged as an MLflow model: best on val, last, or none."""


class SpecModel(Door):
    """A search space: the question of a sweep."""

    extends: Annotated[
        Any, BeforeValidator(checks.extended_files), WithJsonSchema({"anyOf": [{"type": "string"}, TEXTS]})
    ] = None
    """Files, relative to this one, whose blocks are shared; what is written here wins, later files before earlier."""
    name: Annotated[str, Field(pattern=f"^{checks.NAME.pattern}$"), BeforeValidator(checks.file_name)] | None = None
    """Names the folders of the results; default: the file's name."""
    question: str = ""
    """What the sweep is to answer."""
    recipe: str | None = None
    """Name or path of the recipe: data set, model and schedule; --recipe goes before it."""
    method: Annotated[Literal["ablation", "grid", "random", "tpe"], BeforeValidator(checks.method_name)]
    """ablation: rows listed or generated; grid: all combinations; random, tpe: trials drawn from distributions."""
    metric: Annotated[list[MetricModel], Field(min_length=1), BeforeValidator(checks.as_list)] = [MetricModel()]
    """What ranks the rows; a search may have several, of which the first ranks the table."""
    seeds: Annotated[
        tuple[int, ...],
        BeforeValidator(checks.seed_list),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": checks.MAX_SEEDS}, SEEDS, SEEDS_UNTIL]}),
    ] = (0,)
    """Replication: how many times, or with which seeds, each row is trained; {min: 3, max: 10, until: decided} adds
    seeds to the rows that are not told apart from the baseline yet. A search has exactly one."""
    baseline: Annotated[Any, BeforeValidator(checks.baseline_choice)] = None
    """Label of the row the others are compared with; or the settings of an extra row of that name."""
    rows: dict[str, Settings | None] | None = None
    """The rows of an ablation: label and settings."""
    one_at_a_time: Annotated[dict[str, list[Any]], BeforeValidator(checks.generator)] | None = None
    """Rows of an ablation: the baseline, and each of these values alone."""
    leave_one_out: Annotated[dict[str, Settings], BeforeValidator(checks.generator)] | None = None
    """Rows of an ablation: full with all of these components, and one row without each."""
    parameters: dict[str, ParameterModel] | None = None
    """The factors of a grid or a search."""
    zip: list[list[str]] | None = None
    """Groups of factors whose values are paired, first with first, instead of combined."""
    skip: list[Settings] | None = None
    """Combinations of a grid that are left out."""
    when: dict[str, dict[str, list[Any]]] | None = None
    """For a parameter, the values of other ones for which it counts; elsewhere it is not set."""
    trials: Annotated[int, Field(ge=1, le=100_000), BeforeValidator(checks.at_least(1))] | None = None
    """Trials of a search."""
    search_seed: Count = 0
    """Seed of the sampler of a search; the trials' own is in seeds."""
    scheduler: SchedulerModel | None = None
    """Which trials of a grid or a search are stopped early; without it none."""
    fixed: Settings | None = None
    """Settings for every row, on top of the recipe."""
    table: TableModel = TableModel()
    """The table to draw."""
    resources: ResourcesModel = ResourcesModel()
    """What one trial takes of a machine."""
    budget: BudgetModel = BudgetModel()
    """When the sweep stops, cleanly, with trials left."""
    retries: RetriesModel = RetriesModel()
    """How often a trial is tried again, by the class of its failure."""
    max_consecutive_failures: Count = 3
    """Failures of one kind in a row after which the sweep stops; 0: never."""
    tracking: TrackingModel = TrackingModel()
    """What MLflow gets besides figures and pictures."""


BLOCKS: Mapping[str, type[Door]] = {
    "": SpecModel,
    "metric": MetricModel,
    "table": TableModel,
    "resources": ResourcesModel,
    "budget": BudgetModel,
    "retries": RetriesModel,
    "scheduler": SchedulerModel,
    "parameters": ParameterModel,
    "tracking": TrackingModel,
}


def check_document(values: Mapping[str, Any], origins: Origins, problems: list[str]) -> SpecModel | None:
    """The checked file; None, and one line per mistake in `problems`, when something is wrong."""
    try:
        return SpecModel.model_validate(values)
    except ValidationError as error:
        problems.extend(explain(details, values, origins) for details in error.errors())
        return None


def explain(details: ErrorDetails, values: Mapping[str, Any], origins: Origins) -> str:
    """Pydantic's finding as `file:line: key: what is wrong; remedy`."""
    place = details["loc"]
    if place[0] == "metric" and isinstance(values["metric"], dict):
        place = ("metric", *place[2:])  # a single block was made a list of one
    key = ".".join(map(str, place))
    return f"{origins.nearest(*place)}: {key}: {complaint(details)}"


def complaint(details: ErrorDetails) -> str:
    """What is wrong and what to do, in words of ours."""
    kind, given = details["type"], shown(details["input"])
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "missing":
        return f"missing; add `method: {METHODS[0]}`, see {README}"
    if kind == "extra_forbidden":
        block = str(details["loc"][0]) if len(details["loc"]) > 1 else ""
        return f"unknown key; {closest(str(details['loc'][-1]), tuple(BLOCKS[block].model_fields))}"
    if kind == "literal_error":
        return f"{given} is not a choice; choose {str(details['ctx']['expected']).replace(chr(39), '')}"
    if kind == "less_than_equal":
        return f"{given} is more than {details['ctx']['le']}; write a smaller number"
    if kind == "too_short":
        return "an empty list; name at least one"
    if kind == "string_type":
        return f"must be text, not {given}; put it in quotes"
    if kind == "list_type":
        return f"must be a list, not {given}; write [...]"
    return f"must be a block of `key: value` lines, not {given}; see {README}"
