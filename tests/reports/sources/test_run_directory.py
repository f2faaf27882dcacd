"""Results of a sweep from a run directory."""

from dataclasses import replace

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import Verification
from reports.sources.run_directory import find_name, load_sweep
from tests.reports.conftest import results_of


def test_results_are_read_as_written(tmp_path, store, example):
    store(tmp_path, example)
    loaded = load_sweep(RunDirectory(tmp_path), example.sweep.name)
    assert loaded == replace(example, verification=Verification())


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        (["memory"], "memory"),
        (["memory", "memory@lite0"], "memory"),
        (["memory@lite0", "memory_two@lite0"], "memory@lite0"),
        (["memory+steps=60"], "memory+steps=60"),
        ([], "memory"),
    ],
)
def test_the_only_recipe_that_was_run_needs_no_naming(recorded, found):
    assert find_name("memory", recorded, "runs") == found


def test_several_recipes_are_listed():
    with pytest.raises(StoreError, match=r"runs: several sweeps of 'memory': memory@a, memory@b\. Choose one with"):
        find_name("memory", ["memory@b", "memory@a"], "runs")


def test_an_exact_name_is_taken_as_it_is(tmp_path, store, sweep_of):
    store(tmp_path, results_of(sweep_of({"base": {}}, name="memory@lite0"), {}))
    assert load_sweep(RunDirectory(tmp_path), "memory").sweep.name == "memory@lite0"
    with pytest.raises(StoreError, match="no sweep 'memory'; there are: memory@lite0"):
        load_sweep(RunDirectory(tmp_path), "memory", exact=True)
