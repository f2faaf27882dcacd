"""How a metric is shown: name, unit, direction and precision of its column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["IOU_PREFIX", "KNOWN_COLUMNS", "Column", "column_for"]

IOU_PREFIX = "final/iou/"
"""Metrics of single classes are named `final/iou/<class>`."""
COST_PREFIX = "cost/"


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
    data: str = ""
    """Data set of its values, in a table of several."""

    def on(self, data: str) -> Column:
        """The column in the group of a data set; key and name begin with that of the data set."""
        return replace(self, key=f"{data} {self.key}", name=f"{data} {self.name}", data=data)

    @property
    def header(self) -> str:
        """Name and unit, for example `mIoU (%)`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

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


def share(key: str, name: str, direction: Literal["up", "down"] | None = "up", *, ranked: bool = True) -> Column:
    """A column recorded in 0..1 and shown in per cent."""
    return Column(key=key, name=name, unit="%", direction=direction, scale=100.0, decimals=2, ranked=ranked)


def cost(key: str, name: str, unit: str, decimals: int) -> Column:
    """A column where less is better, and which is not ranked."""
    return Column(key=key, name=name, unit=unit, direction="down", decimals=decimals)


KNOWN_COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        share("final/miou", "mIoU"),
        share("final/pixel_accuracy", "Pixel acc."),
        share("final/mean_accuracy", "Mean acc."),
        share("val/miou", "Val mIoU"),
        share("val/best_miou", "Best val mIoU"),
        share("val/pixel_accuracy", "Val pixel acc."),
        cost("cost/train_minutes", "Train", "min", 1),
        cost("cost/gpu_hours", "GPU time", "h", 2),
        cost("cost/step_ms", "Step", "ms", 1),
        Column(key="cost/loader_wait_share", name="Loader wait", unit="%", direction="down", scale=100.0, decimals=1),
        Column(key="cost/images_per_second", name="Throughput", unit="images/s", direction="up", decimals=1),
        cost("cost/peak_memory_gb", "Peak memory", "GB", 2),
        cost("cost/parameters_millions", "Parameters", "M", 2),
        share("contrast/purity", "Bank purity", ranked=False),
        share("contrast/bank_fill", "Bank fill", None, ranked=False),
        share("contrast/skipped_share", "Classes skipped", None, ranked=False),
        share("contrast/anchored_share", "Classes anchored", None, ranked=False),
        Column(key="contrast/loss", name="Contrast loss", decimals=3),
        Column(key="contrast/anchors", name="Anchors", decimals=1),
        Column(key="contrast/anchors_per_class", name="Anchors per class", decimals=1),
        Column(key="contrast/positives", name="Positives per anchor", decimals=1),
        Column(key="contrast/negatives", name="Negatives per anchor", decimals=1),
        Column(key="contrast/positive_similarity", name="Pos. similarity", decimals=3),
        Column(key="contrast/negative_similarity", name="Neg. similarity", decimals=3),
        Column(key="contrast/alignment", name="Alignment", decimals=3),
        Column(key="contrast/uniformity", name="Uniformity", decimals=3),
    )
}
"""Metrics with a header of their own; any other is shown under its name, unscaled, without an arrow."""


def column_for(
    key: str, *, metric: str, goal: str, decimals: int | None = None, direction: str | None = None
) -> Column:
    """The column of metric `key` in a sweep that optimises `metric` towards `goal` (`maximize` or `minimize`).

    The sweep's own metric takes its direction from `goal` and is always ranked. `decimals` and `direction` (`up` or
    `down`) are those that the specification sets; a metric whose direction it sets is ranked unless it is a cost.
    """
    if key in KNOWN_COLUMNS:
        column = KNOWN_COLUMNS[key]
    elif key.startswith(IOU_PREFIX):
        column = share(key, f"IoU {key.removeprefix(IOU_PREFIX)}")
    else:
        column = Column(key=key, name=key)
    if decimals is not None:
        column = replace(column, decimals=decimals)
    if key == metric:
        return replace(column, direction="down" if goal == "minimize" else "up", ranked=True)
    if direction is not None:
        ranked = column.ranked or not key.startswith(COST_PREFIX)
        return replace(column, direction="down" if direction == "down" else "up", ranked=ranked)
    return column
