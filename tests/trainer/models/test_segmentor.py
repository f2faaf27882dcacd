"""The joined network: sizes, normalisation, padding, gradients, and inference at exactly the baseline's cost."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainer.build import HEADS, build_segmentor
from trainer.config import ContrastConfig, ModelConfig
from trainer.models.segmentor import pad_to_multiple

CLASSES = 5


def build(head="deeplabv3", backbone="resnet18", embedding_dim=16):
    config = ModelConfig(backbone=backbone, head=head, head_channels=16)
    contrast = ContrastConfig(source="none") if embedding_dim is None else ContrastConfig(embedding_dim=embedding_dim)
    return build_segmentor(config, contrast, classes=CLASSES, seed=0)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", ["resnet18", "hrnet_w18", "tf_efficientnet_lite0", "timm/mobilenetv3_small_050"])
def test_training_pass_reaches_every_parameter(head, backbone):
    model = build(head, backbone)
    output = model(torch.rand(2, 3, 64, 96))
    assert output.logits_BCHW.shape == (2, CLASSES, 64, 96)
    assert (output.aux_logits_BCHW is None) == (head == "hrnet")
    assert output.embedding_BDhw.shape[:2] == (2, 16)
    direction = torch.randn_like(output.embedding_BDhw)
    loss = output.logits_BCHW.square().mean() + (output.embedding_BDhw * direction).mean()
    if output.aux_logits_BCHW is not None:
        assert output.aux_logits_BCHW.shape == output.logits_BCHW.shape
        loss = loss + output.aux_logits_BCHW.square().mean()
    loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("head", "backbone", "channels", "stride"),
    [
        ("hrnet", "hrnet_w18", 270, 4),
        ("hrnet", "resnet18", 64 + 128 + 256 + 512, 4),
        ("ocr", "hrnet_w18", 270, 4),
        ("ocr", "resnet18", 512, 16),
        ("deeplabv3", "resnet18", 512, 16),
    ],
)
def test_the_embedding_taps_where_the_paper_says(head, backbone, channels, stride):
    model = build(head, backbone)
    assert model.head.tap_channels == channels
    assert model(torch.rand(2, 3, 64, 96)).embedding_BDhw.shape[2:] == (64 // stride, 96 // stride)


@pytest.mark.parametrize("head", HEADS)
def test_inference_costs_exactly_what_the_baseline_does(head):
    def cost(model):
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model.eval()(torch.rand(1, 3, 64, 96))
        return counter.get_flop_counts()["Global"]

    baseline, contrast = build(head, embedding_dim=None), build(head)
    assert cost(baseline) == cost(contrast)
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        first, second = baseline(image), contrast(image)
    assert torch.equal(first.logits_BCHW, second.logits_BCHW)
    assert second.embedding_BDhw is None
    assert second.aux_logits_BCHW is None


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", ["hrnet_w18", "resnet18"])
def test_any_size_in_evaluation(head, backbone):
    model = build(head, backbone).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 45, 71)).logits_BCHW.shape == (1, CLASSES, 45, 71)


def test_padding_changes_nothing_where_none_is_needed():
    image = torch.rand(1, 3, 64, 96)
    assert pad_to_multiple(image, 32) is image
    assert pad_to_multiple(image, 1) is image
    padded = pad_to_multiple(torch.ones(1, 3, 33, 60), 32)
    assert padded.shape == (1, 3, 64, 64)
    assert padded.sum() == 3 * 33 * 60


def test_images_are_normalised_inside():
    model = build()
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.backbone.mean, model.backbone.std))
    assert mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    model(mean.expand(2, 3, 32, 64) + std)
    assert torch.allclose(seen[0], torch.ones(2, 3, 32, 64), atol=1e-5)
