"""Names and values as MLflow takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from orchestrator.tracking.mlflow_limits import fit_name, fit_value, in_batches, read_name


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_name_fits_and_comes_back(name: str) -> None:
    fitted = fit_name(name)
    _validate_metric_name(fitted)
    assert read_name(fitted) == name


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("final/iou/traffic light", "final/iou/traffic light"),
        ("final/iou/Straße", "final/iou/Straße"),
        ("c++", "c:2b::2b:"),
        ("a:b", "a:3a:b"),
        ("a//b", "a:2f::2f:b"),
        ("../x", ":2e::2e::2f:x"),
    ],
)
def test_names_stay_readable(name: str, fitted: str) -> None:
    assert fit_name(name) == fitted


def test_long_names_are_cut_and_stay_different() -> None:
    names = [f"{'n' * 400}{index}" for index in range(2)]
    fitted = [fit_name(name) for name in names]
    assert [len(name) for name in fitted] == [250, 250]
    assert fitted[0] != fitted[1]
    assert read_name(fitted[0]) is None


def test_a_long_value_shows_that_it_was_cut() -> None:
    assert fit_value("abc", 3) == "abc"
    assert fit_value("abcd", 3) == "ab…"


def test_batches_hold_a_limited_number_of_items_and_characters() -> None:
    assert [list(part) for part in in_batches([1, 2, 3, 4, 5], 2, lambda item: 1)] == [[1, 2], [3, 4], [5]]
    assert [list(part) for part in in_batches([1, 2, 3], 9, lambda item: 150_000)] == [[1], [2], [3]]
    assert list(in_batches([], 9, lambda item: 1)) == []
