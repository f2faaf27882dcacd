"""Headers, arrows and digits of columns."""

import pytest

from orchestrator.workload.loading import built_in
from reports.tables.columns import column_for, in_readable_time

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


@pytest.mark.parametrize(
    ("key", "means", "header", "texts"),
    [
        ("cost/train_minutes", (0.38, 0.4), "Train (s)", ("23", "24")),
        ("cost/train_minutes", (0.05, 0.4), "Train (s)", ("3.0", "24.0")),
        ("cost/train_minutes", (0.9, 16.0), "Train (s)", ("54", "960")),
        ("cost/train_minutes", (0.9, 17.0), "Train (min)", ("0.9", "17.0")),
        ("cost/train_minutes", (1.0, 2.5), "Train (min)", ("1.0", "2.5")),
        ("cost/train_minutes", (75.0, 119.0), "Train (min)", ("75.0", "119.0")),
        ("cost/train_minutes", (75.0, 150.0), "Train (h)", ("1.25", "2.50")),
        ("cost/train_minutes", (660.0, 1500.0), "Train (h)", ("11.0", "25.0")),
        ("cost/train_minutes", (5.0, 150.0), "Train (min)", ("5.0", "150.0")),
        ("cost/train_minutes", (None, 0.0), "Train (min)", ()),
        ("cost/gpu_hours", (0.006, 0.007), "GPU time (s)", ("22", "25")),
        ("cost/gpu_hours", (0.25, 0.5), "GPU time (min)", ("15.0", "30.0")),
        ("cost/gpu_hours", (0.25, 3.0), "GPU time (h)", ("0.25", "3.00")),
        ("cost/step_ms", (0.5, 0.6), "Step (ms)", ("0.5", "0.6")),
        ("final/miou", (0.5, 0.6), "mIoU (%)", ("50.00", "60.00")),
    ],
)
def test_times_are_in_a_unit_in_which_they_show_something(key, means, header, texts):
    found = in_readable_time(column(key), means)
    assert found.header == header
    assert found.key == key, "files and sorting know it by the name of the metric"
    assert tuple(found.text(mean) for mean in means if mean) == texts
