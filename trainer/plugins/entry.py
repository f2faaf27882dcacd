"""`Entry`: a line of the trainer's tables and of those of plugins, and how the trainer gets the code of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, cast

from trainer.config.plugin_part import PluginPart

__all__ = ["Entry", "MetricEntry", "chosen", "chosen_metric"]

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry(Generic[T]):
    """A line of a table: `"boundary": Entry(code=boundary_anchors, options=BoundaryOptions)`."""

    code: T
    """A function or a class. It is called as its table says, and with the keyword `options` if there are any."""
    options: type | None = None
    """A frozen, keyword-only dataclass; its fields become keys of the block, for example `contrast.anchors.width`."""

    def bound(self, options: Mapping[str, Any]) -> T:
        """`code` with its options. Raises ValueError for values that the options refuse."""
        if self.options is None:
            return self.code
        return cast(T, partial(self.code, options=self.options(**options)))


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricEntry(Entry[T]):
    """A line of `METRICS`.

    `code(label_HW, prediction_HW, classes)` returns sums (S,) over the pixels of an image, in which void pixels have
    the label 255; they are added over all images of a split. An image without a labelled pixel has zeros.
    """

    value: Callable[[Any], float] = lambda sum_S: float(sum_S[0] / sum_S[1].clamp(min=1e-12))
    """From the sums (S,) over a split to the metric; by default the first over the second."""
    title: str = ""
    """Head of its column; default: its name."""
    unit: str = ""
    """`%`: it is shown times 100. Anything else stands in the head of the column."""
    direction: str = "up"
    """Which way is better: `up` or `down`."""


def chosen(table: Mapping[str, Entry[T]], name: str, part: PluginPart | None) -> T:
    """The code of the entry `name` of `table`, or of the plugin's entry that `part` is about, with its options.

    Raises PluginError if the plugin cannot be loaded here.
    """
    if part is None:
        return table[name].code
    entry: Entry[T] = entry_of(part)
    return entry.bound(dict(part.options))


def chosen_metric(part: PluginPart) -> tuple[Callable[..., Any], Callable[[Any], float]]:
    """The code of a metric with its options, and the function from its sums to the metric. Raises PluginError."""
    entry: MetricEntry[Callable[..., Any]] = entry_of(part)
    return entry.bound(dict(part.options)), entry.value


def entry_of(part: PluginPart) -> Any:
    """The entry of a plugin's table that `part` is about. Raises PluginError."""
    from trainer.plugins.loading import load  # which imports this module

    return load(part.source).tables[part.table][part.name]
