"""Whole trials on a simulated CUDA device: every value of every setting, and every pair of listed ones, at least once.

The values are read from the types of the fields, so a new loss, miner or precision is tested without a change here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from operator import or_
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from orchestrator.workload.plugin_part import is_plugin_part
from trainer.config import Runtime, TrainConfig, fields_below, setting
from trainer.config.model import BACKBONE_NAMES, DEEP_STEMS
from trainer.testing.simulated_trial import simulated_trial

SMALL = {
    "contrast.anchors.per_class": 5,
    "contrast.embedding_dim": 8,
    "contrast.memory.pixels_per_class": 20,
    "contrast.memory.pixels_per_image": 3,
    "contrast.memory.regions_per_class": 6,
    "contrast.mining.negatives": 16,
    "contrast.mining.positives": 8,
    "contrast.warmup_fraction": 0.0,
    "data.crop": (32, 64),
    "data.synthetic.height": 32,
    "data.synthetic.test_images": 1,
    "data.synthetic.train_images": 2,
    "data.synthetic.val_images": 2,
    "data.synthetic.width": 64,
    "data.test_split": "val",
    "model.backbone": "timm/test_resnet",
    "model.head_channels": 8,
    "schedule.batch_size": 4,
    "schedule.steps": 1,
}

NUMBERS: dict[str, tuple[Any, ...]] = {
    "contrast.anchors.min_pixels": (1, 20),
    "contrast.keys_per_class": (None, 3),
    "contrast.mining.negatives": (16, 10**6),
    "contrast.mining.positives": (8, 10**6),
    "contrast.projection_channels": (None, 4),
    "data.base_size.short": (None, 40),
    "evaluation.scales": (None, (0.5, 1.0)),
    "evaluation.window": (None, (32, 32)),
    "loss.class_weights": (None, tuple(range(1, 12))),
    "model.aux_channels": (None, 12),
    "model.aux_weight": (0.0, 0.4),
    "model.dropout": (0.0, 0.1),
    "optim.clip_norm": (None, 1.0),
    "optim.ema_decay": (None, 0.9),
    "schedule.accumulation_steps": (None, 2),
    "schedule.rate_warmup_steps": (None, 2),
}
"""Values of settings whose types do not list them, where the code has a branch."""

LEFT_OUT = {
    "compute.compile": "the compiler needs a driver",
    "compute.cuda_graphs": "recording needs a driver",
    "model.stem": "two backbones have a choice, and each has a test below",
    "evaluation.preset": "is replaced by its scales and flip",
    "data.absent_classes": "read while planning",
    "data.classes": "describes files, which are read on the CPU",
    "data.name": "data sets read files on the CPU",
}
"""Settings with listed values that no trial here varies, with the reason."""

WITHOUT_BRANCH = {
    *("contrast.embedding_dim", "contrast.memory.max_gigabytes", "contrast.memory.pixels_per_class"),
    *("contrast.memory.pixels_per_image", "contrast.memory.regions_per_class", "contrast.mining.hard_fraction"),
    *("contrast.anchors.per_class", "contrast.temperature", "contrast.warmup_fraction", "contrast.weight"),
    *(
        "data.base_size.long",
        "data.color_jitter",
        "data.crop",
        "data.flip_probability",
        "data.root",
        "data.scale",
        "data.synthetic.height",
    ),
    *("data.synthetic.seed", "data.synthetic.test_images", "data.synthetic.train_images", "data.synthetic.val_images"),
    *("data.synthetic.width", "data.test_split", "data.train_split", "data.val_split", "evaluation.stride"),
    *(
        "evaluation.metrics",
        "loss.lovasz_weight",
        "loss.ohem_min_kept",
        "loss.ohem_threshold",
        "model.head_channels",
        "model.weights",
    ),
    *("optim.head_lr_multiplier", "optim.lr", "optim.momentum", "optim.poly_power", "optim.weight_decay"),
    *("schedule.batch_size", "schedule.eval_every_steps", "schedule.steps", "seed"),
}
"""Numbers, paths and names that only change values or shapes."""

SAME_AS_UNSET = {("contrast.memory.dtype", "float32")}

Settings = dict[str, Any]


def listed_values() -> dict[str, tuple[Any, ...]]:
    """The values of every field of type Literal or bool, by dotted key."""
    found = {}
    for key, hint in hints(TrainConfig()):
        options = [option for option in get_args(hint) or (hint,) if option is not NoneType]
        values = [value for option in options if get_origin(option) is Literal for value in get_args(option)]
        values += get_args(hint) if get_origin(hint) is Literal else []
        values += [True, False] if bool in options else []
        unset = [None] if NoneType in get_args(hint) and setting_of_default(key) is None else []
        if values:
            found[key] = (*unset, *dict.fromkeys(values))
    return found


def hints(block: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and type of every field below `block`."""
    for name, hint in get_type_hints(type(block)).items():
        if hasattr(value := getattr(block, name), "__dataclass_fields__"):
            yield from hints(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", hint


def with_settings(block: Any, settings: Settings) -> Any:
    """`block` with dotted keys replaced."""
    changes: Settings = {}
    below: dict[str, Settings] = {}
    for key, value in settings.items():
        head, _, rest = key.partition(".")
        if rest:
            below.setdefault(head, {})[rest] = value
        else:
            changes[key] = value
    changes |= {name: with_settings(getattr(block, name), part) for name, part in below.items()}
    return replace(block, **changes)


def effective(config: TrainConfig, keys: list[str]) -> Settings:
    """The values that take effect."""
    values, normalised = {}, config.normalised()
    for key in keys:
        block: Any = normalised
        *blocks, name = key.split(".")
        for part in blocks:
            block = getattr(block, part)
        values[key] = setting(block, name)
    return values


def setting_of_default(key: str) -> Any:
    """The value of a key that is not set."""
    return effective(TrainConfig(), [key])[key]


VALUES = {key: values for key, values in (listed_values() | NUMBERS).items() if key not in LEFT_OUT}


def covering_trials(draws: int = 500) -> list[Settings]:
    """Few settings that show every effective value, and every pair of listed ones, which `draws` random ones show.

    Chosen greedily. A set of pairs is an integer: bit i * n + j stands for the values number i and j of n.
    """
    chance = random.Random(0)
    drawn = []
    place: dict[tuple[str, str], int] = {}
    for _ in range(draws):
        settings = {key: chance.choice(values) for key, values in VALUES.items()}
        try:
            config = with_settings(TrainConfig(), SMALL | settings)
        except ValueError:
            continue
        shown = [(key, str(value)) for key, value in effective(config, list(VALUES)).items()]
        drawn.append((settings, {item: place.setdefault(item, len(place)) for item in shown}))
    n, pairs = len(place), []
    for settings, shown in drawn:
        listed = [number for (key, _), number in shown.items() if key not in NUMBERS]
        row = sum(1 << number for number in listed)
        alone = sum(1 << number * (n + 1) for number in shown.values())
        pairs.append((settings, alone | sum(row << number * n for number in listed)))
    missing = reduce(or_, (bits for _, bits in pairs))
    chosen = []
    while missing:
        settings, bits = max(pairs, key=lambda item: (item[1] & missing).bit_count())
        chosen.append(settings)
        missing &= ~bits
    return chosen


TRIALS = covering_trials()


def test_every_setting_is_varied_or_left_out_for_a_reason():
    keys = {prefix + item.name for prefix, item in fields_below(TrainConfig) if not is_plugin_part(item)}
    assert keys == {*VALUES, *LEFT_OUT, *WITHOUT_BRANCH, "model.backbone"}


def test_every_value_takes_effect_in_some_trial():
    shown = [effective(with_settings(TrainConfig(), SMALL | trial), list(VALUES)) for trial in TRIALS]
    for key, values in VALUES.items():
        wanted = {str(None if (key, value) in SAME_AS_UNSET else value) for value in values}
        wanted = {str(setting_of_default(key)) if value == "None" else value for value in wanted}
        assert wanted <= {str(item[key]) for item in shown}, key


@pytest.mark.parametrize("number", range(len(TRIALS)))
def test_a_trial_runs_and_waits_only_when_it_logs(number):
    loaded = Runtime(resident_gigabytes=number % 2)  # by threads, or on the device
    seen = simulated_trial(with_settings(TrainConfig(), SMALL | TRIALS[number]), loaded)
    assert seen.operators > 1000
    assert seen.waits


@pytest.mark.parametrize(
    "backbone",
    [pytest.param(name, marks=[pytest.mark.slow] if name.startswith("hrnet") else []) for name in BACKBONE_NAMES],
)
def test_every_backbone_trains_and_is_evaluated(backbone):
    settings = SMALL | {
        "contrast.source": "none",
        "model.backbone": backbone,
        "model.stem": "deep" if backbone in DEEP_STEMS else None,
    }
    assert simulated_trial(with_settings(TrainConfig(), settings)).operators > 1000


def test_a_warm_up_is_followed_by_the_contrast():
    settings = SMALL | {"schedule.steps": 2, "contrast.warmup_fraction": 0.5}
    assert simulated_trial(with_settings(TrainConfig(), settings)).operators > 1000
