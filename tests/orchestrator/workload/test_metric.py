"""How metrics are found by name, families included, and which one is watched."""

from __future__ import annotations

from orchestrator.workload.metric import Metric, metric_named, validation_name, watched_metric

IOU = Metric(name="final/iou/", title="IoU {}", unit="%", direction="up")
ACCURACY = Metric(name="final/accuracy", title="Accuracy", unit="%")
VAL_ACCURACY = Metric(name="val/accuracy", title="Val accuracy", unit="%")


def test_a_metric_is_found_by_its_name_or_as_a_member_of_a_family() -> None:
    found = metric_named("final/iou/road", [ACCURACY, IOU])
    assert (found.name, found.title, found.unit, found.scale) == ("final/iou/road", "IoU road", "%", 100.0)
    assert metric_named("final/accuracy", [IOU, ACCURACY]) is ACCURACY


def test_a_metric_that_nobody_has_declared_is_shown_under_its_name() -> None:
    found = metric_named("train/loss", [ACCURACY])
    assert (found.title, found.direction, found.scale, found.ranked) == ("train/loss", None, 1.0, False)


def test_the_first_metric_is_watched_on_the_validation_split_where_it_is_declared() -> None:
    assert watched_metric([ACCURACY, VAL_ACCURACY]) is VAL_ACCURACY
    assert watched_metric([ACCURACY]) is ACCURACY
    assert watched_metric([]) is None
    assert validation_name("cost/step_ms") == "cost/step_ms"


def test_a_title_in_running_text_begins_in_lower_case_unless_it_is_an_abbreviation() -> None:
    assert VAL_ACCURACY.words == "val accuracy"
    assert Metric(name="final/x", title="F1").words == "F1"
    assert Metric(name="final/x", title="mIoU").words == "mIoU"
