"""Settings of every type: choices, optional values, lists of any length, true and false."""

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec.settings import config_leaves, read_setting


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("loss.kind", "lovasz", "lovasz"),
        ("loss.class_weights", [1, 2.5, 0], (1.0, 2.5, 0.0)),
        ("data.base_size.short", 520, 520),
        ("data.base_size.long", None, None),
        ("evaluation.preset", "multi_scale_flip", "multi_scale_flip"),
        ("evaluation.window", [64, 96], (64, 96)),
        ("evaluation.flip", True, True),
        ("optim.ema_decay", 0.9, 0.9),
        ("optim.ema_decay", None, None),
    ],
)
def test_an_optional_setting_is_read(key, value, found):
    assert read_setting(key, value, "here").value == found


@pytest.mark.parametrize(
    ("key", "value", "mistake"),
    [
        ("loss.kind", "dice", "'dice' is not a choice; choose ce, ohem, lovasz, ce_lovasz"),
        ("compute.precision", 16, "16 is not a choice; choose float32, bfloat16, float16"),
        ("evaluation.scales", 0.5, "must be a list of numbers, not 0.5; write for example [1.0]"),
        ("evaluation.flip", "yes", "must be true or false, not 'yes'; write for example false"),
        ("evaluation.window", 64, "must be a list of 2 whole numbers, not 64; write for example null"),
    ],
)
def test_a_wrong_value_is_reported(key, value, mistake):
    with pytest.raises(SpecError) as caught:
        read_setting(key, value, "here")
    assert caught.value.messages == (f"here: {key}: {mistake}",)


def test_every_leaf_says_what_is_legal():
    assert all(leaf.mistake({}) for leaf in config_leaves().values())


def test_the_home_of_an_unknown_user_is_a_plain_directory_name():
    setting = read_setting("data.root", "~nobody.of.that.name/data", "here")

    assert setting.resolved() == str(Path("~nobody.of.that.name/data").resolve())
