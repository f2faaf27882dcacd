"""How a metric is shown: name, unit, direction and precision of its column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.workload.metric import Metric, metric_named, titled

__all__ = ["Column", "column_for", "in_readable_time"]

COST_PREFIX = "cost/"
SECONDS = {"s": 1, "min": 60, "h": 3600}
"""In each unit of times; step times stay in milliseconds."""
MOST_SECONDS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One metric of the table. One precision per column: mean, spread and difference share `decimals`."""

    key: str
    """Name of the metric in the records, for example `final/miou`."""
    name: str
    unit: str = ""
    direction: Literal["up", "down"] | None = None
    """Which way is better; None where neither is."""
    scale: float = 1.0
    """Factor from the recorded value to the shown one: 100 turns a share into per cent."""
    decimals: int = 4
    ranked: bool = False
    """Best, second and difference are shown. Costs are not ranked: they depend on the machine and its load, and the
    baseline wins because it does less. The sweep's own metric always is."""
    over_classes: bool = False
    """Whether it is a mean over classes."""
    data: str = ""
    """Data set of its values, in a table of several."""

    def on(self, data: str) -> Column:
        """The column in the group of a data set; key and name begin with that of the data set."""
        return replace(self, key=f"{data} {self.key}", name=f"{data} {self.name}", data=data)

    @property
    def header(self) -> str:
        """Name and unit, for example `mIoU (%)`."""
        return titled(self.name, self.unit)

    @property
    def arrow(self) -> str:
        """`↑`, `↓`, or nothing."""
        return {"up": "↑", "down": "↓", None: ""}[self.direction]

    def shown(self, value: float) -> float:
        """`value` as printed: scaled and rounded. Ranks compare these, so equal digits tie."""
        return float(f"{value * self.scale:.{self.decimals}f}") + 0.0  # + 0.0 turns -0.0 into 0.0

    def text(self, value: float) -> str:
        """The digits of `value`, with an ASCII minus."""
        return f"{self.shown(value):.{self.decimals}f}"

    def difference(self, value: float) -> str:
        """The digits of a difference with its sign; zero has none."""
        shown = self.shown(value)
        return f"{shown:+.{self.decimals}f}" if shown else f"{shown:.{self.decimals}f}"


def column_of(metric: Metric) -> Column:
    """The column of a metric."""
    return Column(
        key=metric.name,
        name=metric.title or metric.name,
        unit=metric.unit,
        direction=metric.direction,
        scale=metric.scale,
        decimals=metric.decimals,
        ranked=metric.ranked,
        over_classes=metric.over_classes,
    )


def column_for(
    key: str,
    *,
    metrics: Sequence[Metric],
    metric: str,
    goal: str,
    decimals: int | None = None,
    direction: str | None = None,
) -> Column:
    """The column of metric `key` in a sweep that optimises `metric` towards `goal` (`maximize` or `minimize`).

    `metrics` are those that its workload declares; any other is shown under its name, unscaled, without an arrow.

    The sweep's own metric takes its direction from `goal` and is always ranked. `decimals` and `direction` (`up` or
    `down`) are those that the specification sets; a metric whose direction it sets is ranked unless it is a cost.
    """
    column = column_of(metric_named(key, metrics))
    if decimals is not None:
        column = replace(column, decimals=decimals)
    if key == metric:
        return replace(column, direction="down" if goal == "minimize" else "up", ranked=True)
    if direction is not None:
        ranked = column.ranked or not key.startswith(COST_PREFIX)
        return replace(column, direction="down" if direction == "down" else "up", ranked=ranked)
    return column


def in_readable_time(column: Column, means: Iterable[float | None]) -> Column:
    """A column of times in the unit in which its `means`, in the unit of the records, show something.

    Seconds while the shortest is below a minute and all have at most three digits, hours where all have a tenth of one
    and the longest has two; else minutes. Any other column, and one already in that unit, stays as it is.
    """
    known = (
        [abs(mean) * column.scale * SECONDS[column.unit] for mean in means if mean] if column.unit in SECONDS else []
    )
    if not known:
        return column
    least, most = min(known), max(known)
    unit = "min"
    if least < SECONDS["min"] and most < MOST_SECONDS:
        unit = "s"
    elif least >= SECONDS["h"] / 10 and most >= 2 * SECONDS["h"]:
        unit = "h"
    if unit == column.unit:
        return column
    tens = least >= 10 * SECONDS[unit]
    decimals = {"s": 0 if tens else 1, "min": 1, "h": 1 if tens else 2}[unit]
    return replace(column, unit=unit, scale=column.scale * SECONDS[column.unit] / SECONDS[unit], decimals=decimals)
