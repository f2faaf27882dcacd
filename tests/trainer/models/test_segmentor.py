"""The whole network: tap, padding and normalisation. trainer/testing/head.py has the tests of every head."""

from __future__ import annotations

import pytest
import torch

from trainer.build import build_segmentor
from trainer.config import ContrastConfig, ModelConfig
from trainer.models.segmentor import pad_to_multiple

CLASSES = 5


def build(head="deeplabv3", backbone="resnet18"):
    config = ModelConfig(backbone=backbone, head=head, head_channels=16)
    return build_segmentor(config, ContrastConfig(embedding_dim=16), classes=CLASSES, seed=0)


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


@pytest.mark.parametrize("head", ["hrnet", "deeplabv3", "ocr"])
def test_aligned_corners_keep_the_logits_of_the_corners(head):
    """Only then are the corner pixels of main and auxiliary logits those of the head."""
    config = ModelConfig(backbone="resnet18", head=head, head_channels=16, dropout=0.0, align_corners=True)
    model = build_segmentor(config, ContrastConfig(source="none"), classes=CLASSES, seed=0)
    seen = []
    model.head.register_forward_hook(lambda module, arguments, output: seen.append(output))
    output = model(torch.rand(2, 3, 64, 96))
    corners = (..., [0, 0, -1, -1], [0, -1, 0, -1])
    assert torch.allclose(output.logits_BCHW[corners], seen[0].logits_BChw[corners], atol=1e-5)
    if output.aux_logits_BCHW is not None:
        assert torch.allclose(output.aux_logits_BCHW[corners], seen[0].aux_BChw[corners], atol=1e-5)
