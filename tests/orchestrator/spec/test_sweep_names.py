"""The name of a sweep: the file's own, and what the command line changes in the question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec.settings import config_leaves
from orchestrator.spec.sweep_names import LONGEST_NAME, short_keys
from orchestrator.spec.sweep_spec import SweepSpec, read_sweep_name

ReadSpace = Callable[..., SweepSpec]
SPACE = """
method: ablation
recipe: small
seeds: 3
fixed: {optim.lr: 0.1}
rows: {a: {}, b: {contrast.source: none}}
"""


def name_of(read_space: ReadSpace, **options: object) -> str:
    """The name as planning and as the commands that only look read it."""
    spec = read_space(SPACE, **options)
    assert read_sweep_name(Path("s.yaml"), **options).text == spec.name
    return spec.name


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "s"),
        ({"settings": ["schedule.steps=60"]}, "s+steps=60"),
        ({"settings": ["schedule.steps=060"]}, "s+steps=60"),
        ({"settings": ["schedule.steps=10", "optim.lr=0.1", "data.crop=[64, 64]"]}, "s"),
        ({"settings": ["optim.weight_decay=0.0005"]}, "s"),
        ({"settings": ["contrast.memory.kind=pixel"]}, "s+memory.kind=pixel"),
        ({"settings": ["data.crop=[32, 64]"]}, "s+crop=32,64"),
        ({"settings": ["contrast.memory.max_gigabytes=4"]}, "s"),
        ({"seeds": 3}, "s"),
        ({"seeds": "0,1,2"}, "s"),
        ({"seeds": "5"}, "s+seeds=5"),
        ({"seeds": "11,12"}, "s+seeds=11,12"),
        ({"settings": ["schedule.steps=60"], "seeds": 1}, "s+seeds=1+steps=60"),
        ({"settings": ["schedule.steps=60"], "seeds": 1, "name": "mine"}, "mine"),
        ({"name": "s+steps=60"}, "s+steps=60"),
    ],
)
def test_what_changes_the_trials_is_part_of_the_name(
    options: dict[str, object], name: str, read_space: ReadSpace
) -> None:
    assert name_of(read_space, **options) == name


def test_the_recipe_comes_first(read_space: ReadSpace) -> None:
    Path("recipes/big.yaml").write_text("schedule.steps: 20\n")
    assert name_of(read_space, recipe="big", settings=["schedule.steps=60"]) == "s@big+steps=60"
    assert name_of(read_space, recipe="big", settings=["schedule.steps=20"]) == "s@big"


def test_the_order_of_the_options_does_not_count(read_space: ReadSpace) -> None:
    settings = ["schedule.steps=60", "contrast.weight=0.5", "optim.lr=0.2"]
    names = {name_of(read_space, settings=order) for order in (settings, settings[::-1])}
    assert names == {"s+lr=0.2+steps=60+weight=0.5"}


def test_a_constant_of_the_file_counts_as_its_value(read_space: ReadSpace) -> None:
    parameters = "{optim.lr: {min: 0.1, max: 1}, model.aux_weight: {value: 0.5}}"
    text = f"method: random\nrecipe: small\ntrials: 3\nparameters: {parameters}\n"
    assert read_space(text, settings=["model.aux_weight=0.5"]).name == "s"
    assert read_space(text, settings=["model.aux_weight=0.4"]).name == "s+aux_weight=0.4"


def test_fixed_seeds_instead_of_growing_ones_are_a_change(read_space: ReadSpace) -> None:
    text = SPACE.replace("seeds: 3", "seeds: {until: decided, min: 3, max: 6}\nbaseline: a")
    assert read_space(text).name == "s"
    assert read_space(text, seeds=3).name == "s+seeds=3"


def test_long_or_odd_values_are_shortened_and_stay_different(read_space: ReadSpace) -> None:
    texts = ["a/b c", "a b c", "a" * 90, "a" * 91, "é"]
    names = {name_of(read_space, settings=[f"data.train_split={text}"]) for text in texts}
    assert len(names) == len(texts)
    assert all(name.isascii() and "/" not in name and " " not in name and len(name) <= LONGEST_NAME for name in names)


def test_many_changes_become_a_hash(read_space: ReadSpace) -> None:
    keys = (
        "optim.lr",
        "optim.weight_decay",
        "contrast.weight",
        "contrast.temperature",
        "data.color_jitter",
        "model.dropout",
    )
    names = [
        name_of(read_space, settings=[f"{key}=0.{number}{place}12345" for place, key in enumerate(keys)])
        for number in (1, 2)
    ]
    assert all(name.startswith("s+6-changes-") and len(name) <= LONGEST_NAME for name in names)
    assert names[0] != names[1]


def test_no_two_keys_share_a_short_name() -> None:
    short = short_keys(tuple(config_leaves()))
    assert len(set(short.values())) == len(short)
    assert (short["schedule.steps"], short["contrast.memory.kind"]) == ("steps", "memory.kind")


@pytest.mark.parametrize("name", ["", "a b", "../up", "x" * 101, ".hidden"])
def test_a_name_that_is_no_directory_is_refused(name: str, read_space: ReadSpace) -> None:
    with pytest.raises(SpecError, match=f"--name {name}: cannot name a sweep; use at most 100 letters"):
        read_space(SPACE, name=name)


def test_wrong_options_are_reported_where_only_the_name_is_read(read_space: ReadSpace) -> None:
    read_space(SPACE)
    for options in ({"settings": ["optim.lr"]}, {"seeds": "many"}, {"recipe": "none", "settings": ["optim.lr=1"]}):
        with pytest.raises(SpecError):
            read_sweep_name(Path("s.yaml"), **options)
