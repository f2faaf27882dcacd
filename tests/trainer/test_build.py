"""The tables are complete, and equal seeds give equal weights with and without contrast."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch

from trainer.build import HEADS, build_segmentor
from trainer.config import BACKBONE_NAMES, ContrastConfig, ModelConfig
from trainer.models.backbones import BACKBONES

SMALL = ModelConfig(backbone="resnet18", head_channels=8)


def test_tables_equal_the_choices_of_the_config():
    assert tuple(HEADS) == get_args(get_type_hints(ModelConfig)["head"])
    assert tuple(BACKBONES) == BACKBONE_NAMES


@pytest.mark.parametrize("head", HEADS)
def test_a_row_with_contrast_starts_from_the_weights_of_its_baseline(head):
    config = ModelConfig(backbone="resnet18", head=head, head_channels=8)
    baseline = build_segmentor(config, ContrastConfig(source="none"), classes=3, seed=5)
    contrast = build_segmentor(config, ContrastConfig(embedding_dim=16), classes=3, seed=5)
    weights = contrast.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in baseline.state_dict().items())
    assert {name for name in weights if name not in baseline.state_dict()} == {
        f"projection.{name}" for name in contrast.projection.state_dict()
    }


def test_the_layout_changes_the_order_in_memory_and_not_the_weights():
    """The same logits from both layouts, up to the order of sums."""
    layouts = {True: torch.channels_last, False: torch.contiguous_format}
    models = {
        last: build_segmentor(SMALL, ContrastConfig(source="none"), classes=3, seed=5, channels_last=last).eval()
        for last in layouts
    }
    seen = []
    for last, model in models.items():
        assert model.backbone.body.layer1[0].conv1.weight.is_contiguous(memory_format=layouts[last])
        assert not model.backbone.body.layer1[0].conv1.weight.is_contiguous(memory_format=layouts[not last])
        model.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image_B3HW = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = {last: model(image_B3HW).logits_BCHW for last, model in models.items()}
    assert [image.is_contiguous(memory_format=layouts[last]) for last, image in zip(layouts, seen, strict=True)] == [
        True,
        True,
    ]
    assert all(
        torch.equal(a, b)
        for a, b in zip(models[True].state_dict().values(), models[False].state_dict().values(), strict=True)
    )
    torch.testing.assert_close(logits[True], logits[False], atol=1e-4, rtol=1e-4)


def test_seeds_decide():
    first, again, other = (
        build_segmentor(SMALL, ContrastConfig(embedding_dim=4), classes=3, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name in ("backbone.body.conv1.weight", "head.classify.2.weight", "projection.output.weight"):
        assert not torch.equal(first[name], other[name])


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build_segmentor(SMALL, ContrastConfig(embedding_dim=4), classes=3, seed=1)
    assert torch.equal(torch.rand(1), expected)
