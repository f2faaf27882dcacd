"""A search: its objectives and the distributions that its trials are drawn from, independent of any sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema, WrapValidator

from orchestrator.spec.blocks import StrictBlock
from orchestrator.spec.workload_in_use import workload_in_use

__all__ = ["Conditions", "Distribution", "Objective", "RangeKind", "Search", "holds"]

RangeKind = Literal["uniform", "log_uniform", "int_uniform", "int_log_uniform"]

Conditions = Mapping[str, tuple[Any, ...]]
"""Key of another parameter -> its values for which a parameter is active; all conditions must hold."""

Goal = Annotated[
    Literal["maximize", "minimize"],
    WrapValidator(lambda value, check: value if value is None else check(value)),
    WithJsonSchema({"anyOf": [{"enum": ["maximize", "minimize"], "type": "string"}, {"type": "null"}]}),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective(StrictBlock):
    """A final scalar that ranks the rows or guides a search, and which way is better."""

    name: str = field(default_factory=lambda: workload_in_use().main_metric.name)
    """Name of the scalar, for example final/miou or cost/train_minutes."""
    goal: Goal = None  # type: ignore[assignment]  # replaced in __post_init__
    """Which way is better; by default maximize, or what the trainer says of a figure of its own."""
    mode: InitVar[Literal["max", "min"] | None] = None
    """Ray's name for goal."""

    def __post_init__(self, mode: str | None) -> None:
        """Set `goal` from `mode`, or its default. Raises ValueError when the two contradict each other."""
        goal: str | None = self.goal
        if goal and mode and not goal.startswith(mode):
            raise ValueError(f"goal {goal} contradicts mode {mode}; remove one of the two")
        if goal is None:
            metric = workload_in_use().metric(self.name)
            lower = metric.ranked and metric.direction == "down"
            object.__setattr__(self, "goal", "minimize" if mode == "min" or (lower and mode is None) else "maximize")


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """What the values of one parameter are drawn from."""

    key: str
    """Dotted key of `TrainConfig`."""
    kind: RangeKind | Literal["categorical"]
    low: float | int | None = None
    """Smallest value, included; None for `categorical`."""
    high: float | int | None = None
    """Largest value, included; None for `categorical`."""
    step: float | int | None = None
    """Distance between neighbouring values, from `low` on; None: any value. Only for `uniform` and `int_uniform`."""
    choices: tuple[Any, ...] = ()
    """The values of a `categorical`, in the type of the setting: lists are tuples."""
    when: Conditions = field(default_factory=dict)
    """Empty: the parameter is always active."""
    origin: str = field(default="", compare=False)
    """File and line of the parameter."""

    def bounds(self) -> tuple[Any, ...]:
        """The choices, or the smallest and the largest value."""
        return self.choices if self.kind == "categorical" else (self.low, self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How many trials are drawn, by which sampler, from which distributions."""

    sampler: Literal["random", "tpe"]
    trials: int
    """Trials of the study, including those stopped early; the baseline row is not counted."""
    seed: int
    """Seed of the sampler; the seed of the trials is in `SweepSpec.seeds`."""
    parameters: tuple[Distribution, ...]
    """Each after the parameters that its conditions depend on."""

    def active(self, values: Mapping[str, Any]) -> Iterator[Distribution]:
        """The active parameters, in order; conditions are looked up in `values` after each one is yielded.

        So a sampler can draw while it iterates: `for item in search.active(drawn): drawn[item.key] = ...`.
        """
        yielded: set[str] = set()
        for item in self.parameters:
            if yielded >= item.when.keys() and holds(item.when, values):
                yielded.add(item.key)
                yield item

    def active_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters that are active with `values`. Raises KeyError for one that has no value."""
        found: dict[str, Any] = {}
        for item in self.active(found):
            found[item.key] = values[item.key]
        return found


def holds(conditions: Conditions, values: Mapping[str, Any]) -> bool:
    """Whether each key in `conditions` has one of its values in `values`; a missing key fails its condition."""
    return all(key in values and values[key] in choices for key, choices in conditions.items())
