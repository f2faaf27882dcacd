"""SavedView: the view of a sweep in MLflow's list of runs, with its columns, order, groups and charts.

MLflow 3.17 keeps a saved view in a tag of the experiment, `mlflow.sharedViewState.KEY`: JSON with its name, which the
menu `Views` shows, and the state of the page, deflated and in base64. A link with `viewStateShareKey=KEY` opens it.
Releases before look at the outermost keys, which repeat the essentials. Tried with MLflow 3.1.4, that is not enough: a
link as we print it opens its page of models, and one in its own form (without `/runs`) fails. All runs are delivered.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.store.sweep_record import SweepRecord
from orchestrator.tracking.mlflow_limits import fit_name
from orchestrator.tracking.row_figures import difference_name
from orchestrator.tracking.row_means import shown_metric
from orchestrator.tracking.varied_settings import parameter_names

__all__ = ["LONGEST_VIEW", "TAG", "SavedView", "runs_of_sweep", "view_key"]

TAG = "mlflow.sharedViewState."
DEFLATED = "deflate;"
LONGEST_VIEW = 5000
"""In characters; MLflow 3.17 accepts 20,000, earlier releases 5,000."""
MOST_LISTED = 30
"""Named views of an experiment. MLflow saves no more of a user when there are 40, so further sweeps have their view
under its link only."""
MOST_EXTRA_COLUMNS, MOST_AXES = 4, 6
ESSENTIALS = ("searchFilter", "orderByKey", "orderByAsc", "selectedColumns")
"""What releases of MLflow before 3.17 look for at the outermost level."""

RUN_NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
"""Columns that MLflow always shows."""
LOSS = "train/loss"


@dataclass(frozen=True, slots=True)
class SavedView:
    """What MLflow keeps of a view."""

    sweep: str
    """Name of the sweep, and of the view."""
    created_at: float
    """Seconds since the epoch."""
    state: Mapping[str, Any]
    """Of the page, by its own names."""

    @classmethod
    def of(cls, sweep: SweepRecord, created_at: float) -> SavedView:
        """The view of a sweep: sorted by its metric, best first, and grouped by row if rows have several seeds."""
        columns = columns_of(sweep)
        state = {
            "searchFilter": runs_of_sweep(sweep.name),
            "orderByKey": column("metrics", shown_metric(sweep).name),
            "orderByAsc": sweep.goal == "minimize",
            "selectedColumns": list(columns),
            "columnOrder": [RUN_NAME, CREATED, *columns, DURATION],
            "columnWidths": {RUN_NAME: 170, CREATED: 140, **columns},
            "runsHiddenMode": "FIRST_20_RUNS",
            "useGroupedValuesInCharts": False,
            **charts_of(sweep),
        }
        if len(sweep.seeds) > 1:
            keys = ["row", *(["data_set"] if sweep.on_several else [])]
            groups = [{"mode": "tag", "groupByData": key} for key in keys]
            state["groupBy"] = {"aggregateFunction": "average", "groupByKeys": groups}
        return cls(sweep.name, created_at, state)

    def value(self, tags: Mapping[str, str]) -> str:
        """The value of its tag of an experiment that has `tags`; empty where it would be too long."""
        listed = sum(value.startswith("{") for key, value in tags.items() if key.startswith(TAG) and key != self.tag)
        for state in (self.state, {key: self.state[key] for key in self.state if not key.startswith("compareRun")}):
            packed = deflated(state)
            stamp = round(self.created_at * 1000)
            named = {"name": self.sweep, "createdAt": stamp, "updatedAt": stamp, "state": packed}
            repeated = {key: state[key] for key in ESSENTIALS}
            value = packed if listed >= MOST_LISTED else json.dumps(named | repeated, separators=(",", ":"))
            if len(value) <= LONGEST_VIEW:
                return value
        return ""

    @property
    def tag(self) -> str:
        """Name of its tag."""
        return TAG + view_key(self.sweep)


def view_key(sweep: str) -> str:
    """The key of the view of the sweep with this name."""
    return f"sweep-{hashlib.sha256(sweep.encode()).hexdigest()[:12]}"


def runs_of_sweep(sweep: str) -> str:
    """MLflow's filter for the child runs of a sweep."""
    return f"tags.sweep = '{sweep}' AND tags.role = 'trial'"


def columns_of(sweep: SweepRecord) -> dict[str, int]:
    """The columns and their widths in pixels: row, seed, figure, difference, minutes, other figures, settings."""
    shown, names = shown_metric(sweep).name, [metric.name for metric in sweep.declared_metrics if metric.unit == "min"]
    differences, minutes = [difference_name(sweep)] if sweep.baseline else [], names[:1]
    others = [name for name in sweep.table.columns if name not in (sweep.metric, *minutes) and not name.endswith("/")]
    columns = {column("tags", "row"): 160}
    if sweep.on_several:
        columns[column("tags", "data_set")] = 120
    columns[column("tags", "seed")] = 60
    figures = [shown, *differences, *minutes, *others[:MOST_EXTRA_COLUMNS]]
    columns |= {column("metrics", name): 130 for name in figures}
    return columns | {column("params", name): 110 for name in list(parameter_names(sweep).values())[:MOST_AXES]}


def charts_of(sweep: SweepRecord) -> dict[str, Any]:
    """The charts of the page, in a section before those that MLflow adds for all metrics."""
    section = view_key(sweep.name)
    metric, watched = fit_name(shown_metric(sweep).name), fit_name(sweep.watched_metric.name)
    axes = [*(["row"] if sweep.method == "ablation" else []), *map(fit_name, parameter_names(sweep).values())][
        :MOST_AXES
    ]
    charts: list[dict[str, Any]] = [
        {"type": "PARALLEL", "selectedParams": axes, "selectedMetrics": [metric], "showAllRuns": True},
        {"type": "BAR", "metricKey": metric},
        *(line_chart(fit_name(name)) for name in dict.fromkeys((watched, LOSS))),
    ]
    common = {"metricSectionId": section, "runsCountToCompare": 20, "deleted": False, "isGenerated": False}
    return {
        "compareRunCharts": [{**common, "uuid": f"{section}-{index}", **chart} for index, chart in enumerate(charts)],
        "compareRunSections": [
            {
                "uuid": section,
                "name": sweep.name,
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
                "columns": 2,
                "cardHeight": 360,
            }
        ],
        "isAccordionReordered": True,
    }


def line_chart(metric: str) -> dict[str, Any]:
    """The curves of a metric over the steps."""
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def column(kind: str, name: str) -> str:
    """MLflow's name of a column of metrics, params or tags."""
    return f"{kind}.`{fit_name(name)}`"


def deflated(state: Mapping[str, Any]) -> str:
    """The state of a page as MLflow stores it."""
    packed = zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)
    return DEFLATED + base64.b64encode(packed).decode("ascii")
