"""The plan of a sweep as the run directory keeps it: rows, seeds, trial ids and the table wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

from orchestrator.store.attempt_record import State
from orchestrator.store.data_set_record import DataSetRecord
from orchestrator.store.keys import require_folder_name
from orchestrator.store.typed_values import build
from orchestrator.workload.data_record import DataRecord
from orchestrator.workload.loading import BUILT_IN, built_in
from orchestrator.workload.metric import Metric, watched_metric
from orchestrator.workload.protocol_record import ProtocolRecord
from orchestrator.workload.source_digest import codes_in

__all__ = ["SEARCHES", "PlannedRun", "Row", "SweepRecord", "TableRecord", "title_of"]

Layout = Literal["auto", "list", "groups", "matrix"]
AcrossData = Literal["none", "mean", "seeds", "data_sets"]

SEARCHES = ("random", "tpe")
"""Methods that choose trials while the sweep runs; with the others all rows are known in the plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of the ablation, or one combination of a grid."""

    label: str
    factors: Mapping[str, Any]
    """Values that this row sets, by dotted config key."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What tables and figures call values of `factors`, by key; one that is not in it is shown as it is typed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRun:
    """The trial of one row and seed. Rows that compute the same share a trial."""

    row: str
    seed: int
    trial_id: str
    data: str = ""
    """Name of its data set, in a sweep over several."""

    @property
    def title(self) -> str:
        """The row, and its data set where there are several (`title_of`)."""
        return title_of(self.row, self.data)


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRecord:
    """The table that the search space asks for."""

    caption: str = ""
    label: str = ""
    columns: tuple[str, ...] = ()
    """Keys of metrics; empty: the metric of the sweep."""
    published: str | None = None
    """Stem of a file in reports/published/ whose figures are shown beside ours."""
    rows: tuple[str, ...] = ()
    """Labels of the rows to show, in this order; empty: all."""
    top: int | None = None
    """Number of rows to show, best first, below the baseline; None: all rows, or the best ten of a search."""
    layout: Layout = "auto"
    """`list`: a line per row; `groups`: equal values of the leading factors are merged; `matrix`: one factor down, one
    across; `auto`: chosen by the method."""
    group: tuple[str, ...] = ()
    """Factors (dotted keys) by which lines are grouped, or the factor that runs down a matrix."""
    precision: Mapping[str, int] = field(default_factory=dict)
    """Decimals by column, where they are not the default."""
    direction: Mapping[str, str] = field(default_factory=dict)
    """Whether larger (`up`) or smaller (`down`) is better, by column, where it is not the default."""
    split: str = "test"
    """`test`: columns `final/...` show the declared test split; `val`: they show the validation split."""
    intervals: bool = False
    """Whether a column shows the 95 % interval and the p-value of each difference."""
    allow_selection_on_test: bool = False
    """Whether figures of the split on which something was chosen may be reported, with a mark."""
    styles: tuple[str, ...] = ()
    """Styles in which the tables are written, of plugins too; empty: in all."""
    across_data: AcrossData = "none"
    """What a sweep over several data sets shows across them: `mean` of the data sets, seed by seed; `seeds`: and its
    paired test over the seeds; `data_sets`: and the signed-rank test over the data sets."""


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """The plan of a sweep. Tables are made from it, so they know which results are missing."""

    name: str
    """`ablation_memory`; with what the command line changed `ablation_memory@camvid_lite0+steps=60`."""
    question: str
    method: str
    recipe: str
    metric: str
    goal: str
    """`maximize` or `minimize`."""
    baseline: str | None
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    cells: tuple[PlannedRun, ...]
    table: TableRecord = field(default_factory=TableRecord)
    protocol: str = ""
    """One sentence for the caption: data set, split, crop, batch, steps, seeds."""
    spec: str = ""
    """Text of the search space file."""
    search: Mapping[str, Any] = field(default_factory=dict)
    """Empty unless it is a search: `sampler`, `search_seed`, `trials`, `objectives`, `parameters`, `scheduler`; of its
    study the id (`study`), the number of draws (`drawn`), and the values of trials of other studies that it learned
    from (`prior`)."""
    looks: tuple[int, int] | None = None
    """With `seeds: {until: decided}`, the fewest and the most seeds of a row; tests are corrected for this."""
    command: str = ""
    """The command line that runs the sweep, quoted for a shell; empty when it was run from Python."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of every row that does not set them itself: recipe, then `fixed`, then `--set`."""
    val_overlaps_test: bool | None = None
    """Whether the splits of `val/...` and of `final/...` share images; None in plans of version 0.1."""
    models: str = "none"
    """Checkpoint of each trial that is logged to MLflow as a model: `best`, `last` or `none`."""
    code: tuple[str, ...] = ()
    """Digest of the trainer's code that the plan was made with, then those of code proven equal to it."""
    accepted_code: Mapping[str, str] = field(default_factory=dict)
    """By trial id, the other code whose result or checkpoint the user accepted with `--accept-stale`."""
    data: tuple[DataRecord, ...] = ()
    """The data sets; of a search also those it may choose. Empty in plans of before."""
    protocols: tuple[ProtocolRecord, ...] = ()
    """How the figures of the rows are measured, each protocol once; empty in plans of before."""
    workload: str = ""
    """Name of the code that trains; empty in plans of before, which are of the trainer of the project."""
    metrics: tuple[Metric, ...] = ()
    """The metrics of the workload, the main one first; empty in plans of before."""
    notes: tuple[str, ...] = ()
    """Settings with less effect than they say, with their rows: one sentence each, shown below the table."""
    data_sets: tuple[DataSetRecord, ...] = ()
    """With `data:`, the data sets on which every row is trained; each planned run names one."""
    unused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By label of a row, the factors of the sweep that have no effect in it, if there are any; empty in plans of before
    and in large grids."""

    @cached_property
    def declared_metrics(self) -> tuple[Metric, ...]:
        """The metrics of the workload.

        Plans of before are of the built-in one, or do not say which of its metrics are means over classes.
        """
        if self.metrics and (self.workload != BUILT_IN or any(metric.over_classes for metric in self.metrics)):
            return self.metrics
        present = {metric.name: metric for metric in built_in().metrics}
        return tuple(present.get(metric.name, metric) for metric in self.metrics or present.values())

    @property
    def main_metric(self) -> Metric:
        """The main metric of the workload."""
        return self.declared_metrics[0]

    @cached_property
    def watched_metric(self) -> Metric:
        """What is shown of a running trial."""
        return watched_metric(self.declared_metrics) or self.main_metric

    @cached_property
    def trial_ids(self) -> tuple[str, ...]:
        """Ids of all planned trials, once each, in the order of the plan."""
        return tuple(dict.fromkeys(run.trial_id for run in self.cells))

    @cached_property
    def runs_by_row(self) -> Mapping[str, tuple[tuple[int, str], ...]]:
        """Seed and trial id of the planned runs of each row, by its label, in the order of the plan."""
        found: dict[str, list[tuple[int, str]]] = {row.label: [] for row in self.rows}
        for run in self.cells:
            found[run.row].append((run.seed, run.trial_id))
        return {label: tuple(runs) for label, runs in found.items()}

    @cached_property
    def on_several(self) -> bool:
        """Whether its planned runs are on several data sets."""
        return any(run.data for run in self.cells)

    def row_of(self, trial_id: str) -> str:
        """Label of the first row that a trial belongs to; empty for a trial that is not in this plan."""
        return next((run.row for run in self.cells if run.trial_id == trial_id), "")

    def on(self, data_set: DataSetRecord) -> SweepRecord:
        """The plan of one of the data sets, as if it were the only one."""
        return replace(
            self,
            recipe=data_set.recipe,
            protocol=data_set.protocol,
            settings={**self.settings, **data_set.settings},
            val_overlaps_test=data_set.val_overlaps_test,
            data=data_set.data,
            protocols=data_set.protocols,
            notes=data_set.notes,
            data_sets=(data_set,),
            cells=tuple(replace(run, data="") for run in self.cells if run.data in ("", data_set.name)),
        )

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """`row, seed 0` by trial id; a trial that several rows share has the label of the first."""
        return {run.trial_id: f"{run.title}, seed {run.seed}" for run in reversed(self.cells)}

    def label_of(self, trial_id: str) -> str:
        """`row, seed 0`; the id itself for a trial that is not in this plan."""
        return self.labels.get(trial_id, trial_id)

    @property
    def is_search(self) -> bool:
        """Whether trials are chosen while the sweep runs."""
        return self.method in SEARCHES

    def ends_trial(self, state: State) -> bool:
        """Whether a trial in this state needs no further attempt.

        A search with a scheduler has its answer from a trial that was `stopped`; without one, and in an ablation or a
        grid, a trial must run to its end.
        """
        has_scheduler = self.is_search and self.search.get("scheduler", True) is not None  # version 0.1 does not say
        return state is State.DONE or (state is State.STOPPED and has_scheduler)

    def equals_code(self, code: str) -> bool:
        """Whether `code`, of an attempt, is that of the plan or proven equal; so is one that is not known."""
        return not self.code or code in self.code or set(self.code).issuperset(codes_in(code))

    def accepts_code(self, trial_id: str, code: str) -> bool:
        """Whether a result of `code` stands in this plan for trial `trial_id`: equal code, or accepted by the user."""
        if self.equals_code(code):
            return True
        accepted = codes_in(self.accepted_code.get(trial_id, ""))
        return not self.code or {*self.code, *accepted}.issuperset(codes_in(code))

    def shows_the_same(self, other: SweepRecord) -> bool:
        """Whether both plans give the same table of the same results, whatever command line and folders led to them."""
        plans = (
            replace(
                plan,
                command="",
                settings={},
                unused={},
                data_sets=tuple(replace(item, settings={}) for item in plan.data_sets),
            )
            for plan in (self, other)
        )
        return next(plans) == next(plans)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`; keys that an older file lacks have their defaults.

        Raises ValueError for a value of a wrong type, and for a run or a baseline of a row that is not planned.
        """
        record = build(cls, values)
        labels = [row.label for row in record.rows]
        known = set(labels)
        if len(known) != len(labels):
            raise ValueError("rows: two have the same label")
        if record.baseline is not None and record.baseline not in known:
            raise ValueError(f"baseline: there is no row {record.baseline!r}")
        for run in record.cells:
            if run.row not in known:
                raise ValueError(f"cells: there is no row {run.row!r}")
            require_folder_name(run.trial_id)
        names = {data_set.name for data_set in record.data_sets}
        if unknown := next((run.data for run in record.cells if run.data and run.data not in names), ""):
            raise ValueError(f"cells: there is no data set {unknown!r}")
        return record


def title_of(row: str, data: str) -> str:
    """A row on one of several data sets: `w/o contrast on CamVid`; the row alone where `data` is empty."""
    return f"{row} on {data}" if data else row
