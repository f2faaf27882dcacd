"""Headers, arrows and digits of columns."""

import pytest

from orchestrator.workload.loading import built_in
from reports.tables.columns import column_for

METRICS = tuple(built_in().metrics)


def column(key, *, metric="final/miou", goal="maximize"):
    return column_for(key, metrics=METRICS, metric=metric, goal=goal)


def test_the_headers_of_declared_metrics_are_unique():
    assert len({column(item.name).header for item in METRICS}) == len(METRICS)


@pytest.mark.parametrize(
    ("key", "header", "arrow", "text"),
    [
        ("final/miou", "mIoU (%)", "↑", "12.35"),
        ("final/iou/road", "IoU road (%)", "↑", "12.35"),
        ("cost/train_minutes", "Train (min)", "↓", "0.1"),
        ("my/own", "my/own", "", "0.1235"),
    ],
)
def test_header_arrow_and_digits(key, header, arrow, text):
    assert (column(key).header, column(key).arrow, column(key).text(0.123456)) == (header, arrow, text)


def test_costs_are_ranked_only_where_they_are_the_goal():
    assert not column("cost/train_minutes").ranked
    assert column("cost/train_minutes", metric="cost/train_minutes", goal="minimize").ranked


@pytest.mark.parametrize(("goal", "arrow"), [("maximize", "↑"), ("minimize", "↓")])
def test_an_unknown_metric_takes_its_direction_from_the_goal(goal, arrow):
    own = column("my/own", metric="my/own", goal=goal)
    assert (own.arrow, own.ranked) == (arrow, True)


@pytest.mark.parametrize(
    ("value", "text"), [(0.012, "+1.20"), (-0.012, "-1.20"), (0.0, "0.00"), (-0.00001, "0.00"), (0.00001, "0.00")]
)
def test_a_difference_has_a_sign_and_zero_has_none(value, text):
    assert column("final/miou").difference(value) == text


def test_a_value_that_rounds_to_zero_has_no_minus():
    assert column("my/own").text(-0.00001) == "0.0000"
