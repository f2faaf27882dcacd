"""The terms of a step, their order, and that only the step number and the tensors determine the result."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from trainer.build import build_segmentor
from trainer.config import (
    ComputeConfig,
    ContrastConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    ScheduleConfig,
    TrainConfig,
)
from trainer.contrast.module import ContrastOutput, PixelContrast
from trainer.data.loading.batches import Batch
from trainer.losses import LOSSES, cross_entropy
from trainer.optim import build_optimizer
from trainer.step import TrainStep, warmup_steps

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

    def __call__(self, embedding_BDhw, label_BHW, prediction_BHW, *, generator, progress, spread):
        self.calls.append(("loss", embedding_BDhw.detach().clone(), prediction_BHW, generator.initial_seed()))
        return ContrastOutput(2 * embedding_BDhw.mean(), {"contrast/anchors": torch.tensor(3.0)})

    def push(self, embedding_BDhw, label_BHW, *, generator, true_BHW=None):
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
def test_defect_8_the_contrast_reaches_the_backbone_on_every_path(source, kind):
    memory = replace(CONFIG.contrast.memory, kind=kind)
    config = replace(CONFIG, contrast=replace(CONFIG.contrast, source=source, memory=memory)).normalised()
    row = make_step(config)
    baseline = make_step(replace(CONFIG, contrast=ContrastConfig(source="none")))
    batch = make_batch()
    row_metrics, baseline_metrics = row(batch, 0), baseline(batch, 0)
    assert torch.equal(row_metrics["train/ce"], baseline_metrics["train/ce"])
    assert row_metrics["train/loss"] > baseline_metrics["train/loss"]
    # a ResNet's blocks start as the identity, so the first step moves no inner convolution: look at the stem
    stem, plain_stem = (step.model.backbone.body.conv1[0].weight for step in (row, baseline))
    assert not torch.equal(stem, plain_stem)


@pytest.mark.parametrize("precision", [None, "bfloat16"])
def test_defect_11_rows_share_precision_and_resolution_of_supervision(precision):
    seen = []
    for contrast in (ContrastConfig(source="none"), CONFIG.contrast):
        step = make_step(replace(CONFIG, contrast=contrast, compute=ComputeConfig(precision=precision)))
        step.model.register_forward_hook(lambda _, __, output: seen.append(output))
        step(make_batch(), 0)
    for name in ("logits_BCHW", "aux_logits_BCHW"):
        baseline, row = (getattr(output, name) for output in seen)
        assert baseline.shape[2:] == row.shape[2:] == make_batch().label_BHW.shape[1:]
        assert baseline.dtype == row.dtype == torch.float32
        assert torch.equal(baseline, row)


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


FROZEN = replace(
    CONFIG,
    model=replace(CONFIG.model, dropout=0.0),
    contrast=ContrastConfig(source="none"),
    schedule=ScheduleConfig(steps=10, batch_size=4),
)


def freeze(module, _):
    module.training = False


def step_with_frozen_norms(config, contrast=None):
    """A step whose batch norms use their stored statistics: the samples of a batch do not meet."""
    step = make_step(config, contrast)
    for module in step.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(freeze)
    return step


def uneven_batch():
    """Four images, of which the first two have half the labels of the others, and the third class 3 alone."""
    torch.manual_seed(2)
    label = torch.randint(0, CLASSES, (4, 64, 64))
    label[:2, :32] = 255
    label[2] = 3
    return Batch(torch.rand(4, 3, 64, 64), label)


@pytest.mark.parametrize("loss", [LossConfig(), LossConfig(class_weights=(1.0, 0.5, 2.0, 4.0))])
def test_a_batch_in_micro_batches_has_the_gradient_of_the_whole(loss):
    whole = step_with_frozen_norms(replace(FROZEN, loss=loss))
    parts = step_with_frozen_norms(replace(FROZEN, loss=loss, schedule=replace(FROZEN.schedule, accumulation_steps=2)))
    expected, found = whole(uneven_batch(), 0), parts(uneven_batch(), 0)
    assert expected.keys() == found.keys()
    assert all(torch.allclose(found[name], expected[name], rtol=1e-5) for name in expected)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-6)


def test_micro_batches_push_the_batch_at_once_and_draw_apart():
    recorder = Recorder()
    config = replace(FROZEN, contrast=CONFIG.contrast, schedule=replace(FROZEN.schedule, accumulation_steps=2))
    metrics = step_with_frozen_norms(config, recorder)(uneven_batch(), 0)
    assert [call[0] for call in recorder.calls] == ["loss", "loss", "push"]
    assert len({call[3] for call in recorder.calls}) == 3
    assert torch.equal(recorder.calls[2][1], torch.cat([call[1] for call in recorder.calls[:2]]))
    assert metrics["contrast/anchors"] == 3.0
    means = [2 * float(call[1].mean()) for call in recorder.calls[:2]]
    assert float(metrics["train/contrast"]) == pytest.approx(sum(means) / 2, abs=1e-6)


class LabelRecorder(PixelContrast):
    """Notes the labels and predictions that it compares, and what it pushes."""

    def __init__(self, config):
        super().__init__(config, CLASSES)
        self.compared, self.pushed = [], []

    def forward(self, embedding_BDhw, label_BHW, prediction_BHW, **options):
        self.compared.append((label_BHW, prediction_BHW))
        return super().forward(embedding_BDhw, label_BHW, prediction_BHW, **options)

    def push(self, embedding_BDhw, label_BHW, *, generator, true_BHW=None):
        self.pushed.append((label_BHW, true_BHW))
        super().push(embedding_BDhw, label_BHW, generator=generator, true_BHW=true_BHW)


def record_labels(labels="shuffled", parts=1, **knobs):
    """Steps 1 and 2 of a trial whose warm-up ends with step 1."""
    contrast = replace(CONFIG.contrast, warmup_fraction=0.2, labels=labels)
    schedule = replace(FROZEN.schedule, accumulation_steps=parts)
    recorder = LabelRecorder(contrast)
    step = step_with_frozen_norms(replace(FROZEN, contrast=contrast, schedule=schedule, **knobs), recorder)
    return recorder, [step(uneven_batch(), number) for number in (1, 2)]


@pytest.mark.parametrize("parts", [1, 2])
def test_loss_and_bank_see_the_same_shuffled_labels_and_the_cross_entropy_does_not(parts):
    recorder, measured = record_labels(parts=parts)
    plain, expected = record_labels(labels=None, parts=parts)
    assert [item["train/ce"] for item in measured] == [item["train/ce"] for item in expected]
    assert ["train/contrast" in item for item in measured] == [False, True]
    assert measured[1]["train/contrast"] != expected[1]["train/contrast"]
    assert torch.equal(torch.cat([label for label, _ in recorder.compared]), recorder.pushed[1][0])
    true_BHW = uneven_batch().label_BHW
    assert all(torch.equal(label, true_BHW) and true is None for label, true in plain.pushed)
    assert all(torch.equal(true, true_BHW) for _, true in recorder.pushed)
    (first, _), (second, _) = recorder.pushed
    assert not torch.equal(first, second)
    stride = 64 // first.shape[1]
    cells_Bhw = true_BHW[:, stride // 2 :: stride, stride // 2 :: stride]
    for seen_Bhw in (first, second):
        assert torch.equal(seen_Bhw == 255, cells_Bhw == 255)
        for seen, true in zip(seen_Bhw.chunk(parts), cells_Bhw.chunk(parts), strict=True):
            assert not torch.equal(seen, true)
            assert seen.flatten().bincount().tolist() == true.flatten().bincount().tolist()


def test_another_seed_shuffles_otherwise_and_the_same_seed_alike():
    (first, _), (again, _), (other, _) = record_labels(), record_labels(), record_labels(seed=1)
    assert torch.equal(first.pushed[0][0], again.pushed[0][0])
    assert not torch.equal(first.pushed[0][0], other.pushed[0][0])


def test_a_clipped_gradient_has_the_norm_it_may_have():
    plain = make_step(replace(CONFIG, contrast=ContrastConfig(source="none")))
    clipped = make_step(replace(CONFIG, contrast=ContrastConfig(source="none"), optim=OptimConfig(clip_norm=0.01)))
    plain(make_batch(), 0)
    clipped(make_batch(), 0)
    norms = [
        math.sqrt(sum(float(p.grad.square().sum()) for p in step.model.parameters() if p.grad is not None))
        for step in (plain, clipped)
    ]
    assert norms[0] > 0.02
    assert norms[1] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("source", ["none", "inter_image"])
@pytest.mark.parametrize("head", ["deeplabv3", "ocr"])
def test_every_loss_trains_with_auxiliary_head_and_contrast(kind, source, head):
    contrast = replace(CONFIG.contrast, source=source)
    model = replace(CONFIG.model, head=head)
    step = make_step(replace(CONFIG, model=model, loss=LossConfig(kind=kind), contrast=contrast))
    seen = []
    step.model.register_forward_hook(lambda _, __, output: seen.append(output))
    metrics = step(make_batch(), 0)
    parts = [step.criterion(seen[0].logits_BCHW, make_batch().label_BHW)]
    parts.append(0.4 * step.criterion(seen[0].aux_logits_BCHW, make_batch().label_BHW))
    if source != "none":
        parts.append(0.25 * metrics["train/contrast"])
    assert float(metrics["train/loss"]) == pytest.approx(float(sum(parts).detach()))
    assert all(torch.isfinite(parameter).all() for parameter in step.model.parameters())


def test_bfloat16_runs_the_network_alone_and_agrees_with_float32():
    batch, seen = make_batch(), []
    plain = make_step(replace(CONFIG, model=replace(CONFIG.model, dropout=0.0)))
    reduced = make_step(replace(plain.config, compute=ComputeConfig(precision="bfloat16")))
    reduced.model.register_forward_hook(lambda _, __, output: seen.append(output))
    inner = []
    reduced.model.head.register_forward_hook(lambda _, __, output: inner.append(output.logits_BChw.dtype))
    expected, found = plain(batch, 0), reduced(batch, 0)
    assert inner == [torch.bfloat16]
    assert {item.dtype for item in seen[0]} == {torch.float32}
    length = seen[0].embedding_BDhw.norm(dim=1)
    assert torch.allclose(length, torch.ones_like(length), atol=1e-5)
    assert float(found["train/loss"]) == pytest.approx(float(expected["train/loss"]), rel=0.02)
    assert {p.dtype for p in reduced.model.parameters()} == {torch.float32}


def test_compile_wraps_the_training_forward_pass_alone(monkeypatch):
    wrapped = []
    monkeypatch.setattr(torch, "compile", lambda model: wrapped.append(model) or model)
    config = replace(CONFIG, contrast=ContrastConfig(source="none"))
    make_step(config)
    assert wrapped == []
    step = make_step(replace(config, compute=ComputeConfig(compile=True)))
    assert wrapped == [step.model]
    step(make_batch(), 0)
