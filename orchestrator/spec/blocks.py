"""Blocks of a search space that are typed by themselves: resources, budget, retries, scheduler, tracking, table.

The type of a block is its validator and its JSON Schema: the docstring below a field is the field's description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from orchestrator.spec import validators as checks
from orchestrator.spec.workload_in_use import workload_in_use
from orchestrator.store.sweep_record import AcrossData, Layout, TableRecord

__all__ = [
    "Budget",
    "Count",
    "Resources",
    "Retries",
    "Scheduler",
    "StrictBlock",
    "Table",
    "Tracking",
    "Until",
]


Count = Annotated[int, Field(ge=0), BeforeValidator(checks.counts_from(0))]
CountFromOne = Annotated[int, Field(ge=1), BeforeValidator(checks.counts_from(1))]
CountFromTwo = Annotated[int, Field(ge=2), BeforeValidator(checks.counts_from(2))]
PositiveNumber = Annotated[float, Field(gt=0), BeforeValidator(checks.positive_number)]
NumberFromZero = Annotated[float, Field(ge=0), BeforeValidator(checks.number_from_0)]
Fraction = Annotated[float, Field(gt=0, lt=1), BeforeValidator(checks.number_between_0_and_1)]
Decimals = Annotated[int, Field(ge=0, le=9), BeforeValidator(checks.decimals)]
Boolean = Annotated[bool, BeforeValidator(checks.boolean)]
COUNT_OR_TEXTS = {
    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}


class StrictBlock:
    """Base of the dataclasses that pydantic builds from a file: unknown keys are refused.

    Pydantic's strict mode accepts only instances of a dataclass, so each field that pydantic would convert has a
    validator of its own instead.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources(StrictBlock):
    """What one trial takes of a machine."""

    cpus: PositiveNumber = 1
    """CPU cores."""
    gpus: Annotated[
        float | Literal["auto"],
        PlainValidator(checks.gpu_share),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "number", "minimum": 0}]}),
    ] = "auto"
    """GPUs: a fraction up to 1, or a whole number; auto: what the trial's shape needs, where there is a GPU."""
    ranks: Annotated[
        int,
        BeforeValidator(lambda value: 0 if value is None else checks.counts_from(1)(value)),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}),
    ] = field(default_factory=int)
    """Processes that train one trial together; by default one per GPU where it takes several, else 1."""

    def __post_init__(self) -> None:
        """Set the default of `ranks`. Raises ValueError when `ranks` contradicts `gpus`."""
        gpus = 0 if self.gpus == "auto" else self.gpus
        if self.ranks and gpus and self.ranks != max(gpus, 1):
            raise ValueError(
                f"ranks {self.ranks} contradicts gpus {gpus:g}, which means one rank per GPU; remove ranks"
            )
        object.__setattr__(self, "ranks", self.ranks or max(int(gpus), 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget(StrictBlock):
    """Limits at which the sweep stops cleanly, with trials left; without a value there is no limit."""

    gpu_hours: PositiveNumber | None = None
    """GPU hours, summed over the trials of this sweep."""
    wall_hours: PositiveNumber | None = None
    """Hours since the command was started."""
    trial_hours: PositiveNumber | None = None
    """Hours of one attempt at a trial; a longer attempt is timed out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries(StrictBlock):
    """How often a trial is retried, by the kind of its failure; other failures are never retried."""

    lost: Count = 3
    """Its process or node died."""
    out_of_memory: Count = 3
    """The GPU memory was full; each retry gets a larger share of a GPU."""
    timed_out: Count = 0
    """It took longer than budget.trial_hours."""
    back_off_seconds: NumberFromZero = 5
    """Pause before the first retry; the pause doubles with each further one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheduler(StrictBlock):
    """Which trials are stopped before their last step."""

    kind: Annotated[Literal["asha", "median", "hyperband"], BeforeValidator(checks.scheduler_kind)] = "asha"
    """asha, median or hyperband."""
    grace_fraction: Fraction = 0.25
    """Fraction of its steps that every trial runs; at least contrast.warmup_fraction."""
    reduction_factor: CountFromTwo = 3
    """One in this many trials continues from a rung to the next (asha, hyperband)."""
    startup_trials: CountFromOne = 5
    """Trials that run to their end before any is stopped (median)."""
    origin: SkipJsonSchema[str] = field(init=False, default="", compare=False)
    """File and line of `grace_fraction`, or of the block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Until:
    """How many seeds a row gets, numbered from 0, until it is told apart from the baseline."""

    first: int
    """At least."""
    last: int
    """At most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracking(StrictBlock):
    """What MLflow gets besides scalars and pictures."""

    models: Literal["none", "best", "last"] = "none"
    """Checkpoint of each finished trial that is logged as an MLflow model: best on val, last, or none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table(StrictBlock):
    """The table to draw."""

    caption: str = ""
    """Its caption; the protocol and the seeds are added."""
    label: str = ""
    """LaTeX label."""
    columns: tuple[str, ...] | None = None
    """Final scalars, one column each."""
    published: str | None = None
    """Stem of a file in reports/published/ to show beside the measured rows."""
    rows: Annotated[
        tuple[str, ...] | int | None, BeforeValidator(checks.table_rows), WithJsonSchema(COUNT_OR_TEXTS)
    ] = None
    """Labels of the rows to show, in this order; or how many, best first. Default: all, of a search the best ten."""
    layout: Layout = "auto"
    """list, groups (equal neighbours merged) or matrix (one factor down, one across); auto: what suits the method."""
    group: tuple[str, ...] = ()
    """Factors by which lines are grouped, or the one that runs down a matrix."""
    precision: Mapping[str, Decimals] = field(default_factory=dict)
    """Decimals by column, where they differ from the default."""
    direction: Mapping[str, Literal["up", "down"]] = field(default_factory=dict)
    """Which way is better by column, up or down, where it differs from the default."""
    split: Literal["test", "val"] = "test"
    """val: columns final/... show the validation split (its last point) instead of the test split."""
    intervals: Boolean = False
    """A column with the 95 % interval and the p of each difference to the baseline."""
    allow_selection_on_test: Boolean = False
    """Allow that a search, its scheduler or a best checkpoint (val/best_...) chooses on the reported split; such
    figures are marked."""
    styles: tuple[str, ...] = ()
    """Styles in which the tables are written, those of plugins too; default: all. Markdown is always written."""

    across_data: AcrossData = "none"
    """Of a sweep over several data sets, a group of columns across them: mean, their mean; seeds, and its paired test
    over the seeds; data_sets, and the signed-rank test over the data sets."""

    def record(self) -> TableRecord:
        """The table as a sweep's record keeps it: `rows` is a list of labels or `top`, a number of rows."""
        same: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        same["columns"] = self.columns or workload_in_use().default_columns
        rows = same.pop("rows")
        return TableRecord(**same, top=rows) if isinstance(rows, int) else TableRecord(**same, rows=rows or ())
