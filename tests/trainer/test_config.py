"""Optional fields: implied values, refused values, and the choices of the tables."""

import re
from fractions import Fraction
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import (
    BaseSizeConfig,
    ComputeConfig,
    EvaluationConfig,
    LossConfig,
    OptimConfig,
    Runtime,
    ScheduleConfig,
    TrainConfig,
    setting,
)
from trainer.config.evaluation import PRESETS
from trainer.losses import LOSSES
from trainer.optim import RATE_POLICIES


@pytest.mark.parametrize(
    ("block", "name", "table"), [(LossConfig, "kind", LOSSES), (ScheduleConfig, "policy", RATE_POLICIES)]
)
def test_tables_and_choices_agree(block, name, table):
    choices = next(part for part in get_args(get_type_hints(block)[name]) if part is not type(None))
    assert set(get_args(choices)) == set(table)


def test_an_unset_knob_has_the_value_it_implies():
    assert setting(LossConfig(), "ohem_threshold") == 0.7
    assert setting(LossConfig(ohem_threshold=0.5), "ohem_threshold") == 0.5
    assert setting(ComputeConfig(compile=False), "compile") is False


@pytest.mark.parametrize(
    ("block", "knobs", "complaint"),
    [
        (LossConfig, {"class_weights": (1.0, -1.0)}, r"loss\.class_weights: must not be negative"),
        (LossConfig, {"class_weights": ()}, r"loss\.class_weights"),
        (LossConfig, {"ohem_threshold": 0.0}, r"loss\.ohem_threshold"),
        (LossConfig, {"lovasz_weight": 0.0}, r"loss\.lovasz_weight"),
        (OptimConfig, {"clip_norm": 0.0}, r"optim\.clip_norm"),
        (OptimConfig, {"ema_decay": 1.0}, r"optim\.ema_decay"),
        (ScheduleConfig, {"accumulation_steps": 3}, r"schedule\.accumulation_steps: must split a batch of 8"),
        (ScheduleConfig, {"accumulation_steps": 8}, r"at least 2 images \(batch normalisation\)"),
        (ScheduleConfig, {"rate_warmup_steps": -1}, r"schedule\.rate_warmup_steps"),
        (EvaluationConfig, {"window": (64, 16)}, r"evaluation\.window"),
        (EvaluationConfig, {"window": (64, 64), "stride": (65, 64)}, r"evaluation\.stride: .*skipped"),
        (EvaluationConfig, {"scales": ()}, r"evaluation\.scales"),
        (EvaluationConfig, {"preset": "single_scale", "flip": False}, r"evaluation\.flip: evaluation\.preset \(single"),
        (EvaluationConfig, {"preset": "multi_scale_flip", "scales": (1.0,)}, r"evaluation\.scales: evaluation\.preset"),
        (BaseSizeConfig, {"short": 31}, r"data\.base_size\.short: must be at least 32 pixels"),
        (BaseSizeConfig, {"long": 0}, r"data\.base_size\.long: must be at least 32 pixels"),
        (BaseSizeConfig, {"short": 64, "long": 64}, r"data\.base_size\.long: data\.base_size\.short is set as well"),
    ],
)
def test_what_makes_no_sense_is_refused(block, knobs, complaint):
    with pytest.raises(ValueError, match=complaint):
        block(**knobs)


def test_a_normalised_config_stays_what_it_is():
    config = TrainConfig(loss=LossConfig(kind="ohem", ohem_threshold=0.7, lovasz_weight=3.0))
    assert config.normalised().loss == LossConfig(kind="ohem")
    assert config.normalised().normalised() == config.normalised()


@pytest.mark.parametrize(
    ("base", "size", "expected"),
    [
        ({}, (375, 500), (375, 500)),
        ({"short": 520}, (375, 500), (520, 693)),  # 693.33
        ({"short": 520}, (500, 375), (693, 520)),  # portrait
        ({"short": 520}, (333, 500), (520, 781)),  # 780.78
        ({"short": 520}, (520, 520), (520, 520)),
        ({"long": 520}, (375, 500), (390, 520)),
        ({"long": 520}, (500, 333), (520, 346)),  # 346.32
        ({"long": 520}, (640, 640), (520, 520)),
        ({"short": 33}, (64, 96), (33, 50)),  # 49.5: halves become even
        ({"short": 33}, (160, 64), (82, 33)),  # 82.5
        ({"long": 32}, (4000, 20), (32, 1)),  # 0.16: a side is never lost
    ],
)
def test_sides_at_base_size_by_hand(base, size, expected):
    assert BaseSizeConfig(**base).resized(*size) == expected


@given(st.sampled_from(["short", "long"]), *[st.integers(32, 3000)] * 3)
def test_the_named_side_has_its_length_and_the_other_side_keeps_the_aspect_ratio(name, length, height, width):
    config = BaseSizeConfig(**{name: length})
    resized, own = config.resized(height, width), (height, width)
    assert (min if name == "short" else max)(resized) == length
    reference = (min if name == "short" else max)(own)
    exact = [Fraction(side * length, reference) for side in own]
    assert all(abs(side - wanted) <= Fraction(1, 2) or side == 1 for side, wanted in zip(resized, exact, strict=True))


@pytest.mark.parametrize(
    ("preset", "scales", "flip"),
    [("single_scale", None, None), ("multi_scale_flip", (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), True)],
)
def test_a_preset_becomes_the_keys_that_it_stands_for_and_leaves_the_window_alone(preset, scales, flip):
    config = TrainConfig(evaluation=EvaluationConfig(preset=preset, window=(64, 64))).normalised()
    assert config.evaluation == EvaluationConfig(window=(64, 64), scales=scales, flip=flip)
    assert config.normalised() == config


def test_every_preset_has_its_views():
    choices = get_args(get_type_hints(EvaluationConfig)["preset"])[0]
    assert set(get_args(choices)) == set(PRESETS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threads": 0}, "runtime.threads: must be at least 1"),
        ({"loader_threads": -1}, "runtime.loader_threads: must not be negative"),
        ({"resident_gigabytes": -0.5}, "runtime.resident_gigabytes: must not be negative"),
    ],
)
def test_a_runtime_that_cannot_be_is_refused_with_its_key(values, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Runtime(**values)
