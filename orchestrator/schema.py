"""What a search space file may say: the door through which its unchecked values pass (pydantic, strict).

Settings of the trainer (rows, parameters, fixed, a grid's baseline) are checked by `orchestrator.settings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from orchestrator.settings import closest, shown
from orchestrator.yaml_reader import Origins

__all__ = ["METHODS", "SpecModel", "check_document", "seed_list"]

METHODS = ("ablation", "grid")
LATER_METHODS = ("random", "tpe", "asha", "pbt", "bayes", "bayesian")
LATER_KEYS = ("zip", "skip", "when", "one_at_a_time", "leave_one_out", "trials", "scheduler", "budget", "retries")
LATER_PARAMETER_KEYS = ("min", "max", "distribution")
README = "search_spaces/README.md"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def method_name(value: Any) -> Any:
    """A method there is."""
    if value in METHODS:
        return value
    later = isinstance(value, str) and value in LATER_METHODS
    why = "is not supported yet" if later else "is not a method"
    raise ValueError(f"{shown(value)} {why}; choose {' or '.join(METHODS)}")


def file_name(value: Any) -> Any:
    """A sweep's name: it names a folder."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise ValueError(f"{shown(value)} cannot name a folder; use letters, digits, _ - and .")


def seed_list(value: Any) -> tuple[int, ...]:
    """`3` -> (0, 1, 2); `[11, 12]` as it is. Raises ValueError for none, negative or equal seeds."""
    if is_whole(value):
        if value < 1:
            raise ValueError(f"must be at least 1, not {value}; write the number of repetitions, or a list of seeds")
        return tuple(range(value))
    if not isinstance(value, list) or not value or not all(is_whole(seed) and seed >= 0 for seed in value):
        raise ValueError(f"must be a number or a list of whole numbers from 0, not {shown(value)}; write for example 3")
    twice = sorted({seed for seed in value if value.count(seed) > 1})
    if twice:
        raise ValueError(f"seed {twice[0]} is given twice; remove one")
    return tuple(value)


def is_whole(value: Any) -> bool:
    """Whether `value` is an integer and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def baseline_choice(value: Any) -> Any:
    """A row's label or, in a grid, the settings of an extra row."""
    if value is None or isinstance(value, str | dict):
        return value
    raise ValueError(f"must be the label of a row, not {shown(value)}; put it in quotes")


def gpu_share(value: Any) -> Any:
    """GPUs of a trial: `auto`, 0, a fraction or a number."""
    if value == "auto" or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError(f"must be auto or a number from 0, not {shown(value)}; write for example 1 or 0.25")


def cpu_share(value: Any) -> Any:
    """CPUs of a trial, more than 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError(f"must be a number above 0, not {shown(value)}; write for example 1")


class Door(BaseModel):
    """Base of all blocks: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class MetricModel(Door):
    """Which final scalar ranks the rows, and which way is better."""

    name: str = "final/miou"
    goal: Literal["maximize", "minimize"] | None = None
    mode: Literal["max", "min"] | None = None

    @model_validator(mode="after")
    def check_agreement(self) -> Self:
        """Refuse a goal and a mode that contradict each other."""
        if self.goal and self.mode and not self.goal.startswith(self.mode):
            raise ValueError(f"goal {self.goal} contradicts mode {self.mode}; remove one of the two")
        return self


class TableModel(Door):
    """The table to draw."""

    caption: str = ""
    label: str = ""
    columns: list[str] | None = None
    published: str | None = None


class ResourcesModel(Door):
    """What one trial takes of a machine."""

    cpus: Annotated[Any, BeforeValidator(cpu_share)] = 1
    gpus: Annotated[Any, BeforeValidator(gpu_share)] = "auto"


class ParameterModel(Door):
    """A factor of a grid with its levels, or a constant."""

    values: list[Any] | None = None
    value: Any = None


class SpecModel(Door):
    """The whole file."""

    name: Annotated[str | None, BeforeValidator(file_name)] = None
    question: str = ""
    recipe: str | None = None
    method: Annotated[Literal["ablation", "grid"], BeforeValidator(method_name)]
    metric: MetricModel = MetricModel()
    seeds: Annotated[tuple[int, ...], BeforeValidator(seed_list)] = (0,)
    baseline: Annotated[Any, BeforeValidator(baseline_choice)] = None
    rows: dict[str, dict[str, Any] | None] | None = None
    parameters: dict[str, ParameterModel] | None = None
    fixed: dict[str, Any] | None = None
    table: TableModel = TableModel()
    resources: ResourcesModel = ResourcesModel()


BLOCKS: Mapping[str, type[Door]] = {
    "": SpecModel,
    "metric": MetricModel,
    "table": TableModel,
    "resources": ResourcesModel,
    "parameters": ParameterModel,
}


def check_document(values: Mapping[str, Any], origins: Origins, problems: list[str]) -> SpecModel | None:
    """The checked file; None, and one line per mistake in `problems`, when something is wrong."""
    try:
        return SpecModel.model_validate(values)
    except ValidationError as error:
        problems.extend(explain(details, origins) for details in error.errors())
        return None


def explain(details: ErrorDetails, origins: Origins) -> str:
    """Pydantic's finding as `file:line: key: what is wrong; remedy`."""
    place = details["loc"]
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
        return unknown_key(details["loc"])
    if kind == "literal_error":
        return f"{given} is not a choice; choose {str(details['ctx']['expected']).replace(chr(39), '')}"
    if kind == "string_type":
        return f"must be text, not {given}; put it in quotes"
    if kind == "list_type":
        return f"must be a list, not {given}; write [...]"
    return f"must be a block of `key: value` lines, not {given}; see {README}"


def unknown_key(place: tuple[str | int, ...]) -> str:
    """Why a key is refused and which one may have been meant."""
    name, block = str(place[-1]), str(place[0]) if len(place) > 1 else ""
    if name in (LATER_PARAMETER_KEYS if block == "parameters" else LATER_KEYS):
        return f"not supported yet; see {README} for what is"
    return f"unknown key; {closest(name, tuple(BLOCKS[block].model_fields))}"
