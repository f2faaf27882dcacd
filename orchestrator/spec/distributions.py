"""A search: its objectives and the distributions that its trials are drawn from, independent of any sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, Literal

from orchestrator.spec.blocks import StrictBlock

__all__ = ["Conditions", "Distribution", "DistributionKind", "Objective", "Search", "holds"]

DistributionKind = Literal["uniform", "log_uniform", "int_uniform", "int_log_uniform", "categorical"]

Conditions = Mapping[str, tuple[Any, ...]]
"""Another parameter's key -> its values for which a parameter counts; all of them must hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective(StrictBlock):
    """A final scalar that ranks the rows or guides a search, and which way is better."""

    name: str = "final/miou"
    """Name of the scalar, for example final/miou or cost/train_minutes."""
    goal: Literal["maximize", "minimize"] = None  # type: ignore[assignment]  # replaced in __post_init__
    """Which way is better; by default maximize."""
    mode: InitVar[Literal["max", "min"] | None] = None
    """Ray's name for goal."""

    def __post_init__(self, mode: str | None) -> None:
        """Set `goal` from `mode`, or its default. Raises ValueError when the two contradict each other."""
        goal: str | None = self.goal
        if goal and mode and not goal.startswith(mode):
            raise ValueError(f"goal {goal} contradicts mode {mode}; remove one of the two")
        if goal is None:
            object.__setattr__(self, "goal", "minimize" if mode == "min" else "maximize")


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """Where the values of one parameter are drawn from."""

    key: str
    """Dotted key of `TrainConfig`."""
    kind: DistributionKind
    low: float | int | None = None
    """Smallest value, included; None for `categorical`."""
    high: float | int | None = None
    """Largest value, included; None for `categorical`."""
    step: float | int | None = None
    """Distance of neighbouring values from `low` on; None: all. Only for `uniform` and `int_uniform`."""
    choices: tuple[Any, ...] = ()
    """The values of a `categorical`, in the type of the knob: lists are tuples."""
    when: Conditions = field(default_factory=dict)
    """Empty: the parameter always counts."""
    origin: str = field(default="", compare=False)
    """File and line of the parameter."""

    def bounds(self) -> tuple[Any, ...]:
        """The choices, or the smallest and the largest value."""
        return self.choices if self.kind == "categorical" else (self.low, self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """How many trials are drawn, by which sampler, from what."""

    sampler: Literal["random", "tpe"]
    trials: int
    """Trials of the study, those stopped early included; the baseline row is none of them."""
    seed: int
    """Of the sampler; the trials' own seed is the one in `SweepSpec.seeds`."""
    parameters: tuple[Distribution, ...]
    """Those that conditions ask about stand before those that have the conditions."""

    def active(self, values: Mapping[str, Any]) -> Iterator[Distribution]:
        """The parameters that count, in order; `values` is asked about the earlier ones after each is handed out.

        So a sampler may draw while it iterates: `for item in search.active(drawn): drawn[item.key] = ...`.
        """
        handed_out: set[str] = set()
        for item in self.parameters:
            if handed_out >= item.when.keys() and holds(item.when, values):
                handed_out.add(item.key)
                yield item


def holds(conditions: Conditions, values: Mapping[str, Any]) -> bool:
    """Whether each key in `conditions` has one of its values; a key that `values` lacks has none."""
    return all(key in values and values[key] in choices for key, choices in conditions.items())
