"""Metric: what a figure of a trial is called, and how tables show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Counts", "Metric", "class_families", "metric_named", "titled", "validation_name", "watched_metric"]

Counts = Literal["", "accuracy", "mean_accuracy", "iou", "mean_iou"]
"""How a metric follows from the counts of a trial: see `Metric.counts`."""

REPORTED, VALIDATION = "final/", "val/"
"""Start of the names of reported figures, and of the same figures of the validation split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric, or a family of metrics, of a workload.

    Names are grouped by their part before the slash. The orchestrator knows three groups: `final/accuracy` is the
    reported figure of a finished trial, `val/accuracy` the same of the validation split, by which searches choose, and
    `cost/...` what depends on the machine and is not ranked.
    """

    name: str
    """Name in points and results; one that ends with a slash stands for all that begin with it. A family of `final/`,
    such as `final/recall/`, has a figure of each class, from which reports make the table of classes."""
    title: str = ""
    """Header of its column; the part of the name behind a family's start replaces `{}`. Empty: the name."""
    unit: str = ""
    """`%` for a share, which is recorded in 0..1 and shown in per cent."""
    direction: Literal["up", "down"] | None = None
    """Whether larger (`up`) or smaller (`down`) is better; None where neither is."""
    decimals: int = 4
    """Digits behind the point, as shown."""
    ranked: bool = False
    """Whether best, second best and differences are shown; the metric of a sweep always has them."""
    is_column: bool = False
    """Whether tables show it where the search space names no columns; the main metric always is one."""
    needs: str = ""
    """What a row must have to report it: `a memory bank`; empty: every row reports it."""
    over_classes: bool = False
    """Whether it is a mean over classes: tables say over which, because classes without an example are left out."""
    counts: Counts = ""
    """How it follows from `TrialResult.count_NCK`, so that reports resample the test examples: correct over labelled in
    all (`accuracy`), the mean of that over the classes (`mean_accuracy`), or the intersection over union of each class
    of a family (`iou`) and its mean (`mean_iou`). Empty: it does not."""

    @property
    def is_family(self) -> bool:
        """Whether it stands for several metrics."""
        return self.name.endswith("/")

    @property
    def scale(self) -> float:
        """Factor from the recorded value to the shown one."""
        return 100.0 if self.unit == "%" else 1.0

    def digits(self, value: float) -> str:
        """A recorded value as tables show it, without its unit: `63.25` for a share of 0.6325."""
        return f"{value * self.scale:.{self.decimals}f}"

    def with_unit(self, digits: str) -> str:
        """Digits with the unit: `63.25%`, `1.5 min`."""
        return f"{digits}{self.unit}" if self.unit == "%" else f"{digits} {self.unit}".rstrip()

    @property
    def words(self) -> str:
        """The title in running text: `val mIoU` for `Val mIoU`."""
        title = self.title or self.name
        return title[:1].lower() + title[1:] if title[1:2].islower() else title

    @property
    def family_title(self) -> str:
        """The title of a family as a whole: `IoU` for `IoU {}`."""
        return " ".join(self.title.replace("{}", "").split()) or self.name.removeprefix(REPORTED).strip("/")

    @property
    def file_stem(self) -> str:
        """The last part of its name, for files: `iou` for `final/iou/`."""
        return self.name.strip("/").rpartition("/")[2]

    def covers(self, name: str) -> bool:
        """Whether `name` is this metric or one of this family."""
        return name == self.name or (self.is_family and name.startswith(self.name))


def class_families(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics with a figure of each class."""
    return tuple(metric for metric in metrics if metric.is_family and metric.name.startswith(REPORTED))


def metric_named(name: str, metrics: Iterable[Metric]) -> Metric:
    """The metric `name` among `metrics`, or as a member of one of their families.

    One that nobody has declared is shown under its name, without a direction.
    """
    found = next((metric for metric in metrics if metric.covers(name)), None)
    if found is None:
        return Metric(name=name, title=name)
    if not found.is_family:
        return found
    return replace(found, name=name, title=found.title.replace("{}", name.removeprefix(found.name)))


def validation_name(name: str) -> str:
    """`val/accuracy` for `final/accuracy`; any other name stays as it is."""
    return VALIDATION + name.removeprefix(REPORTED) if name.startswith(REPORTED) else name


def watched_metric(metrics: Iterable[Metric]) -> Metric | None:
    """What is shown of a running trial, and what a search chooses by: the first metric, of the validation split.

    The first metric itself where no such metric is declared; None without metrics.
    """
    declared = tuple(metrics)
    if not declared:
        return None
    name = validation_name(declared[0].name)
    return next((metric for metric in declared if metric.name == name), declared[0])


def titled(name: str, unit: str) -> str:
    """A header with its unit: `mIoU (%)`."""
    return f"{name} ({unit})" if unit else name
