"""How many seeds the shipped search spaces have: five are needed to find a difference of a few standard deviations."""

from pathlib import Path

import pytest

from orchestrator.spec.sweep_spec import read_spec

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
DEMO = "ablation_memory"


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_five_seeds_are_the_default_of_all_but_the_demo_and_the_search(path):
    spec = read_spec(path)
    assert len(spec.seeds) == (3 if path.stem == DEMO else 1 if spec.search is not None else 5)
