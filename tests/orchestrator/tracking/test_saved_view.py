"""The saved view of a sweep, as MLflow keeps it; tests/browser opens it."""

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.store.sweep_record import SweepRecord, TableRecord
from orchestrator.tracking import saved_view
from orchestrator.tracking.saved_view import LONGEST_VIEW, SavedView, deflated, view_key
from orchestrator.tracking.uri import runs_page, sweep_link


def state_in(value: str) -> Any:
    packed = base64.b64decode(value.removeprefix("deflate;"))
    return json.loads(zlib.decompress(packed))


@pytest.fixture
def ablation(sweep: SweepRecord) -> SweepRecord:
    columns = ("final/miou", "final/pixel_accuracy", "cost/train_minutes", "final/iou/")
    return replace(sweep, table=TableRecord(columns=columns))


def test_the_columns_are_row_seed_figure_difference_minutes(ablation: SweepRecord) -> None:
    state = SavedView.of(ablation, 1000.0).state
    assert state["selectedColumns"] == [
        "tags.`row`",
        "tags.`seed`",
        "metrics.`final/miou`",
        "metrics.`difference/miou`",
        "metrics.`cost/train_minutes`",
        "metrics.`final/pixel_accuracy`",
        "params.`source`",
    ]
    assert state["columnOrder"][2:-1] == state["selectedColumns"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`final/miou`", False)
    assert state["searchFilter"] == "tags.sweep = 'tiny' AND tags.role = 'trial'"
    assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "row"}]
    parallel = state["compareRunCharts"][0]
    assert (parallel["type"], parallel["selectedParams"], parallel["selectedMetrics"]) == (
        "PARALLEL",
        ["row", "source"],
        ["final/miou"],
    )


def test_a_sweep_with_one_seed_and_no_baseline_has_neither_groups_nor_differences(ablation: SweepRecord) -> None:
    state = SavedView.of(replace(ablation, seeds=(0,), baseline=None, goal="minimize"), 0.0).state
    assert "groupBy" not in state
    assert "metrics.`difference/miou`" not in state["selectedColumns"]
    assert state["orderByAsc"] is True


def test_the_tag_has_the_name_and_the_state(ablation: SweepRecord) -> None:
    view = SavedView.of(ablation, 1000.0)
    assert view.tag == f"mlflow.sharedViewState.{view_key('tiny')}"
    value = json.loads(view.value({}))
    assert (value["name"], value["createdAt"]) == ("tiny", 1_000_000)
    assert state_in(value["state"]) == view.state
    assert value["selectedColumns"] == view.state["selectedColumns"], "what earlier releases read"
    assert view.value({view.tag: "{}"}) == view.value({}), "the same at each start"


def read_before_3_17(value: str) -> Any:
    """How earlier releases parse a tag: they know no name, and take all of it for the state."""
    return state_in(value) if value.startswith("deflate;") else json.loads(value)


@pytest.mark.parametrize("listed", [0, 30])
def test_earlier_releases_can_parse_the_tag_and_find_filter_columns_and_order(
    ablation: SweepRecord, listed: int
) -> None:
    view = SavedView.of(ablation, 1000.0)
    value = view.value({f"mlflow.sharedViewState.{number}": '{"name": "x"}' for number in range(listed)})
    assert len(value) <= 5000, "their limit"
    state = read_before_3_17(value)
    shown = {key: state[key] for key in ("searchFilter", "orderByKey", "orderByAsc", "selectedColumns")}
    assert shown.items() <= view.state.items()
    assert shown["searchFilter"] == "tags.sweep = 'tiny' AND tags.role = 'trial'"


def test_a_full_menu_of_views_is_left_to_its_users(ablation: SweepRecord) -> None:
    view = SavedView.of(ablation, 1000.0)
    others = {f"mlflow.sharedViewState.{number}": '{"name": "x"}' for number in range(30)}
    value = view.value(others)
    assert value == deflated(view.state)
    assert state_in(value) == view.state


def test_a_view_that_would_be_too_long_loses_its_charts_then_everything(
    ablation: SweepRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = SavedView.of(ablation, 0.0)
    whole = view.value({})
    assert len(whole) < LONGEST_VIEW / 3
    monkeypatch.setattr(saved_view, "LONGEST_VIEW", len(whole) - 1)
    plain = state_in(json.loads(view.value({}))["state"])
    assert plain == {key: value for key, value in view.state.items() if not key.startswith("compareRun")}
    monkeypatch.setattr(saved_view, "LONGEST_VIEW", 300)
    assert view.value({}) == ""


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sqlite:///mlflow.db", "http://127.0.0.1:5000/#/experiments/1/runs?"),
        ("https://anna:secret@mlflow.lab/path/", "https://mlflow.lab/path/#/experiments/1/runs?"),
        ("postgresql://mlflow@db/mlflow", None),
    ],
)
def test_the_link_is_at_the_server_if_its_address_is_known(uri: str, address: str | None) -> None:
    page = runs_page("1", viewStateShareKey="sweep-0d")
    query = "workflowType=machine_learning&viewStateShareKey=sweep-0d"
    assert sweep_link(uri, page) == (None if address is None else address + query)


def test_a_page_without_view_lists_the_runs_of_the_sweep() -> None:
    page = runs_page("1", searchFilter="tags.sweep = 'a+b'")
    assert page.endswith("&searchFilter=tags.sweep%20%3D%20%27a%2Bb%27")
