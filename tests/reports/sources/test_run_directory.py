"""Sweeps and outcomes from a run directory."""

import json

import pytest

from orchestrator.errors import StoreError
from orchestrator.store.records import sweep_key
from reports.sources.run_directory import load_sweep, recorded_name


def test_what_was_written_comes_back(tmp_path, store, example):
    sweep, outcomes = example
    store(tmp_path, sweep, outcomes)
    assert load_sweep(tmp_path, sweep.name) == (sweep, outcomes)


def promise(run_dir, name):
    (run_dir / sweep_key(name)).parent.mkdir(parents=True)
    (run_dir / sweep_key(name)).write_text(json.dumps({}))


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        (["memory"], "memory"),
        (["memory", "memory@lite0"], "memory"),
        (["memory@lite0", "memory_two@lite0"], "memory@lite0"),
        ([], "memory"),
    ],
)
def test_the_only_recipe_that_was_run_needs_no_naming(tmp_path, recorded, found):
    for name in recorded:
        promise(tmp_path, name)
    assert recorded_name(tmp_path, "memory") == found


def test_several_recipes_are_listed(tmp_path):
    promise(tmp_path, "memory@a")
    promise(tmp_path, "memory@b")
    with pytest.raises(StoreError, match=r"memory@a, memory@b\. Choose one with --recipe"):
        recorded_name(tmp_path, "memory")
