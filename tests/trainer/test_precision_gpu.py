"""Reduced precision, compilation and determinism on a CUDA device."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.config import (
    ComputeConfig,
    ContrastConfig,
    DataConfig,
    MiningConfig,
    ModelConfig,
    OptimConfig,
    Runtime,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)
from trainer.run import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


class InterruptionError(Exception):
    """Stands for a killed process."""


def make_config(**compute):
    return TrainConfig(
        data=DataConfig(
            crop=(64, 96), synthetic=SyntheticConfig(train_images=6, val_images=2, test_images=2, height=64, width=96)
        ),
        model=ModelConfig(backbone="resnet18", head_channels=16, dropout=0.0),
        contrast=ContrastConfig(embedding_dim=16, warmup_fraction=0.2, mining=MiningConfig(positives=16, negatives=32)),
        optim=OptimConfig(lr=0.01, clip_norm=10.0),
        schedule=ScheduleConfig(steps=8, batch_size=4, eval_every_steps=4),
        compute=ComputeConfig(**compute),
    )


def losses(config, workdir, until=math.inf):
    points = {}

    def progress(step, metrics):
        if step >= until:
            raise InterruptionError
        if "train/loss" in metrics:
            points[step] = metrics["train/loss"]

    train(config, Runtime(device="cuda", log_every_steps=1, checkpoint_every_steps=2), workdir, progress)
    return points


@pytest.mark.filterwarnings("default")  # the compiler advises what to set; that is no mistake of ours
@pytest.mark.parametrize(
    ("compute", "steps"),
    [
        ({"precision": "bfloat16"}, (1, 2)),
        ({"precision": "float16"}, (1,)),  # the scaler may skip the first updates until its scale fits
        ({"compile": True}, (1, 2)),
    ],
    ids=str,
)
def test_the_first_losses_agree_with_float32(tmp_path, compute, steps):
    plain = losses(make_config(), tmp_path / "plain")
    other = losses(make_config(**compute), tmp_path / "other")
    assert [other[step] for step in steps] == pytest.approx([plain[step] for step in steps], rel=0.05)
    assert all(math.isfinite(value) for value in other.values())


def test_the_scale_of_the_loss_survives_an_interruption(tmp_path):
    with pytest.raises(InterruptionError):
        losses(make_config(precision="float16"), tmp_path, until=5)
    scaler = torch.load(tmp_path / "last.pt", weights_only=True)["scaler"]
    assert scaler["scale"] > 0
    assert max(losses(make_config(precision="float16"), tmp_path)) == 8


def test_deterministic_trials_are_bit_equal(tmp_path):
    first, second = (losses(make_config(deterministic=True), tmp_path / name) for name in "ab")
    assert first == second
