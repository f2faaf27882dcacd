"""Optional fields: implied values, refused values, and the choices of the tables."""

from typing import get_args, get_type_hints

import pytest

from trainer.config import (
    ComputeConfig,
    EvaluationConfig,
    LossConfig,
    OptimConfig,
    ScheduleConfig,
    TrainConfig,
    setting,
)
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
    ],
)
def test_what_makes_no_sense_is_refused(block, knobs, complaint):
    with pytest.raises(ValueError, match=complaint):
        block(**knobs)


def test_a_normalised_config_stays_what_it_is():
    config = TrainConfig(loss=LossConfig(kind="ohem", ohem_threshold=0.7, lovasz_weight=3.0))
    assert config.normalised().loss == LossConfig(kind="ohem")
    assert config.normalised().normalised() == config.normalised()
