"""Precision, layout, optimiser, compilation, CUDA graphs and determinism on a CUDA device."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.arithmetic import arithmetic
from trainer.build import build_segmentor
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
from trainer.graphs import GraphedNetwork
from trainer.run import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


class InterruptionError(Exception):
    """Stands for a killed process."""


def make_config(*, steps=8, dropout=0.0, fused=None, **compute):
    return TrainConfig(
        data=DataConfig(
            crop=(64, 96), synthetic=SyntheticConfig(train_images=6, val_images=2, test_images=2, height=64, width=96)
        ),
        model=ModelConfig(backbone="resnet18", head_channels=16, dropout=dropout),
        contrast=ContrastConfig(embedding_dim=16, warmup_fraction=0.2, mining=MiningConfig(positives=16, negatives=32)),
        optim=OptimConfig(lr=0.01, clip_norm=10.0, fused=fused),
        schedule=ScheduleConfig(steps=steps, batch_size=4, eval_every_steps=4),
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


@pytest.mark.parametrize(
    ("compute", "steps"),
    [
        ({"precision": "bfloat16"}, (1, 2)),
        ({"precision": "float16"}, (1,)),  # the scaler may skip the first updates until its scale fits
        ({"tf32": True}, (1, 2)),
        ({"channels_last": False}, (1, 2)),
        ({"fused": True}, (1, 2)),
        ({"fused": True, "precision": "float16"}, (1,)),
        ({"cuda_graphs": True, "precision": "bfloat16"}, (1, 2)),
        ({"cuda_graphs": True, "precision": "float16"}, (1,)),
    ],
    ids=str,
)
def test_the_first_losses_agree_with_float32(tmp_path, compute, steps):
    the_first_losses_agree(tmp_path, compute, steps)


def the_first_losses_agree(tmp_path, compute, steps):
    """Those of `steps` are within 5 % of float32's, and all are finite."""
    plain = losses(make_config(), tmp_path / "plain")
    other = losses(make_config(**compute), tmp_path / "other")
    assert [other[step] for step in steps] == pytest.approx([plain[step] for step in steps], rel=0.05)
    assert all(math.isfinite(value) for value in other.values())


def test_twenty_steps_with_cuda_graphs_are_those_without(tmp_path):
    """With dropout, the warm-up of the contrast and clipping; cuDNN's sums vary, so to 2 % at the end."""
    plain = losses(make_config(steps=20, dropout=0.3), tmp_path / "plain")
    graphed = losses(make_config(steps=20, dropout=0.3, cuda_graphs=True), tmp_path / "graphed")
    assert [graphed[step] for step in (1, 2, 3)] == pytest.approx([plain[step] for step in (1, 2, 3)], rel=2e-3)
    assert list(graphed.values()) == pytest.approx(list(plain.values()), rel=0.02)


def test_a_graph_draws_dropout_from_the_seed_of_each_step():
    """Equal seeds give equal outputs, other seeds others; recording leaves the weights and statistics alone."""
    config = make_config(dropout=0.5)
    model = build_segmentor(config.model, config.contrast, classes=4, seed=0).cuda()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image_B3HW = torch.rand(4, 3, 64, 96, device="cuda")
    network = GraphedNetwork(model, image_B3HW, None)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(network(image_B3HW).logits_BCHW.detach().clone())
    torch.testing.assert_close(seen[0], seen[1], atol=1e-3, rtol=1e-3)
    assert (seen[0] - seen[2]).abs().max() > 0.01


def test_tf32_rounds_products_and_its_absence_does_not():
    """Against float64: a significand of 10 bits is wrong by about 1e-3, one of 23 bits by about 1e-6."""
    generator = torch.Generator("cuda").manual_seed(0)
    left, right = (torch.randn(512, 512, device="cuda", generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    errors = {}
    for wanted in (True, False):
        with arithmetic(ComputeConfig(tf32=wanted)):
            errors[wanted] = float((left @ right - exact).abs().max())
    assert errors[True] > 20 * errors[False]


def test_the_scale_of_the_loss_survives_an_interruption(tmp_path):
    with pytest.raises(InterruptionError):
        losses(make_config(precision="float16"), tmp_path, until=5)
    scaler = torch.load(tmp_path / "last.pt", weights_only=True)["scaler"]
    assert scaler["scale"] > 0
    assert max(losses(make_config(precision="float16"), tmp_path)) == 8


def test_deterministic_trials_are_bit_equal(tmp_path):
    first, second = (losses(make_config(deterministic=True), tmp_path / name) for name in "ab")
    assert first == second


@pytest.mark.filterwarnings("default")  # the compiler advises what to set; that is no mistake of ours
@pytest.mark.parametrize("compute", [{"compile": True}, {"compile": True, "tf32": True}], ids=str)
def test_the_first_losses_of_a_compiled_network_agree_with_float32(tmp_path, compute):
    """Last in this file, because compiling takes half a minute each."""
    the_first_losses_agree(tmp_path, compute, (1, 2))
