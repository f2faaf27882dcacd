"""Plans without folders of a machine."""

import pytest

from orchestrator.store.archive.portable import portable_command, portable_plan

SWEEP = "python -m orchestrator.sweep"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (f"{SWEEP} a.yaml", f"{SWEEP} a.yaml"),
        (f"{SWEEP} search_spaces/a.yaml --seeds 5", f"{SWEEP} search_spaces/a.yaml --seeds 5"),
        (f"{SWEEP} /home/ada/a.yaml", f"{SWEEP} PATH/a.yaml"),
        (f"{SWEEP} a.yaml --run-dir s3://b/runs --out /tmp/o --tracking-uri http://h:5000", f"{SWEEP} a.yaml"),
        (f"{SWEEP} a.yaml --data camvid=/data/cam --data own", f"{SWEEP} a.yaml --data camvid=PATH/cam --data own"),
        (f"{SWEEP} a.yaml --set 'data.root=/my data/x'", f"{SWEEP} a.yaml --set data.root=PATH/x"),
        (f"{SWEEP} 'my a.yaml' --set a=0.5", f"{SWEEP} 'my a.yaml' --set a=0.5"),
        ("", ""),
    ],
)
def test_a_command_keeps_what_it_asks_and_loses_where_it_writes(typed: str, kept: str) -> None:
    assert portable_command(typed) == kept
    assert portable_command(kept) == kept


def test_settings_of_each_data_set_are_portable_and_other_keys_stay() -> None:
    plan = {
        "name": "/not a path",
        "settings": {"data.root": "/a/b", "steps": 3, "crop": [64, 96], "weights": None},
        "data_sets": [{"name": "x", "settings": {"data.root": "/c"}}, {"name": "y"}],
    }
    found = portable_plan(plan)
    assert found == {
        "name": "/not a path",
        "settings": {"data.root": "PATH/b", "steps": 3, "crop": [64, 96], "weights": None},
        "data_sets": [{"name": "x", "settings": {"data.root": "PATH/c"}}, {"name": "y"}],
    }
    assert portable_plan(found) == found
    assert portable_plan({"name": "of before"}) == {"name": "of before"}
