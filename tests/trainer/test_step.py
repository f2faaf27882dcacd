"""What a step adds up, in which order, and that nothing but its number and the tensors decides it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from trainer.build import build_segmentor
from trainer.config import ContrastConfig, ModelConfig, OptimConfig, ScheduleConfig, TrainConfig
from trainer.contrast.module import ContrastOutput, PixelContrast
from trainer.data.batches import Batch
from trainer.optim import build_optimizer
from trainer.step import TrainStep, cross_entropy, warmup_steps

CLASSES = 4
CONFIG = TrainConfig(
    model=ModelConfig(backbone="timm/test_resnet", head_channels=8, dropout=0.3),
    contrast=ContrastConfig(embedding_dim=8, weight=0.25, warmup_fraction=0.0),
    optim=OptimConfig(lr=0.05),
    schedule=ScheduleConfig(steps=10, batch_size=2),
)


class Recorder:
    """A contrastive loss worth twice the mean embedding that notes what it is called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, embedding_BDhw, label_BHW, prediction_BHW, *, generator):
        self.calls.append(("loss", embedding_BDhw.detach().clone(), prediction_BHW, generator.initial_seed()))
        return ContrastOutput(2 * embedding_BDhw.mean(), {"contrast/anchors": torch.tensor(3.0)})

    def push(self, embedding_BDhw, label_BHW, *, generator):
        assert not embedding_BDhw.requires_grad
        self.calls.append(("push", embedding_BDhw.clone(), label_BHW, generator.initial_seed()))


def make_batch(label=None):
    torch.manual_seed(1)
    label = torch.randint(0, CLASSES, (2, 64, 64)) if label is None else label
    return Batch(torch.rand(2, 3, 64, 64), label)


def make_step(config=CONFIG, contrast=None):
    with_contrast = config.contrast.source != "none"
    model = build_segmentor(config.model, config.contrast, classes=CLASSES, seed=config.seed)
    if contrast is None and with_contrast:
        contrast = PixelContrast(config.contrast, CLASSES)
    return TrainStep(config, model, contrast, build_optimizer(model, config.optim), torch.device("cpu"))


def test_cross_entropy_is_torch_s_mean_over_labelled_pixels():
    logits, label = torch.randn(2, CLASSES, 5, 6), torch.randint(0, CLASSES, (2, 5, 6))
    label[0, :3] = 255
    assert torch.allclose(cross_entropy(logits, label), F.cross_entropy(logits, label, ignore_index=255))


def test_cross_entropy_without_a_labelled_pixel_is_a_differentiable_zero():
    logits = torch.randn(2, CLASSES, 5, 6, requires_grad=True)
    loss = cross_entropy(logits, torch.full((2, 5, 6), 255))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert not logits.grad.any()


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 0), (0.125, 1), (0.5, 5), (0.99, 9)])
def test_warmup_steps(fraction, expected):
    assert warmup_steps(replace(CONFIG, contrast=ContrastConfig(warmup_fraction=fraction))) == expected


def test_the_loss_is_ce_plus_auxiliary_plus_weighted_contrast():
    recorder = Recorder()
    step = make_step(contrast=recorder)
    batch = make_batch()
    seen = []
    step.model.register_forward_hook(lambda _, __, output: seen.append(output))
    metrics = step(batch, 0)
    ce = cross_entropy(seen[0].logits_BCHW, batch.label_BHW)
    aux = cross_entropy(seen[0].aux_logits_BCHW, batch.label_BHW)
    contrast = 2 * seen[0].embedding_BDhw.mean()
    assert float(metrics["train/ce"]) == pytest.approx(float(ce.detach()))
    assert float(metrics["train/loss"]) == pytest.approx(float((ce + 0.4 * aux + 0.25 * contrast).detach()))
    assert float(metrics["train/contrast"]) == pytest.approx(float(contrast.detach()))
    assert metrics["contrast/anchors"] == 3.0
    assert torch.equal(recorder.calls[0][2], seen[0].logits_BCHW.argmax(dim=1))
    assert not any(value.requires_grad for value in metrics.values())


def test_the_push_comes_after_the_loss_with_the_same_embedding_and_a_chance_of_its_own():
    recorder = Recorder()
    step = make_step(contrast=recorder)
    step(make_batch(), 0)
    step(make_batch(), 1)
    assert [call[0] for call in recorder.calls] == ["loss", "push"] * 2
    assert torch.equal(recorder.calls[0][1], recorder.calls[1][1])
    assert len({call[3] for call in recorder.calls}) == 4


def test_the_bank_fills_during_the_warm_up_while_the_loss_does_not_count():
    config = replace(CONFIG, contrast=replace(CONFIG.contrast, warmup_fraction=0.2))
    recorder = Recorder()
    step = make_step(config, recorder)
    for number in range(3):
        step(make_batch(), number)
    assert [call[0] for call in recorder.calls] == ["push", "push", "loss", "push"]


@pytest.mark.parametrize("source", ["intra_image", "inter_image"])
@pytest.mark.parametrize("kind", ["none", "pixel", "region", "pixel_region"])
def test_the_contrast_reaches_the_backbone_on_every_path(source, kind):
    # defect 8 of the released code: on one of its paths the weight is silently zero
    memory = replace(CONFIG.contrast.memory, kind=kind)
    config = replace(CONFIG, contrast=replace(CONFIG.contrast, source=source, memory=memory)).normalised()
    arm = make_step(config)
    baseline = make_step(replace(CONFIG, contrast=ContrastConfig(source="none")))
    batch = make_batch()
    arm_metrics, baseline_metrics = arm(batch, 0), baseline(batch, 0)
    assert torch.equal(arm_metrics["train/ce"], baseline_metrics["train/ce"])
    assert arm_metrics["train/loss"] > baseline_metrics["train/loss"]
    # a ResNet's blocks start as the identity, so the first step moves no inner convolution: look at the stem
    stem, plain_stem = (step.model.backbone.body.conv1[0].weight for step in (arm, baseline))
    assert not torch.equal(stem, plain_stem)


def test_a_batch_of_void_is_survived():
    step = make_step()
    metrics = step(make_batch(torch.full((2, 64, 64), 255)), 0)
    metrics = {**metrics, **step(make_batch(), 1)}
    assert all(math.isfinite(float(value)) for value in metrics.values())
    assert all(torch.isfinite(parameter).all() for parameter in step.model.parameters())


def test_a_step_depends_on_its_number_not_on_the_global_generator():
    def take(seed, number):
        step = make_step()
        batch = make_batch()
        torch.manual_seed(seed)
        step(batch, number)
        return step.model.state_dict()

    first, again, later = take(1, 3), take(2, 3), take(1, 4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.classify.2.weight"], later["head.classify.2.weight"])


def test_an_update_is_sgd_with_the_rate_of_the_step():
    config = replace(CONFIG, contrast=ContrastConfig(source="none"), optim=OptimConfig(lr=0.1, head_lr_multiplier=10))
    step = make_step(config)
    weight = step.model.head.classify[2].weight
    before = weight.detach().clone()
    step(make_batch(), 4)
    rate = 10 * 0.1 * (1 - 4 / 10) ** 0.9
    assert torch.allclose(weight.detach(), before - rate * (weight.grad + 5e-4 * before), atol=1e-6)
