"""Every family of backbones against the contract; branches of HRNet; mistakes."""

from __future__ import annotations

import pytest
import torch

from trainer.models.backbones import BACKBONES, build_backbone
from trainer.testing.backbone import BackboneContract, Made

FAMILIES = {name.rstrip("0123456789"): name for name in reversed(BACKBONES)}
"""Family -> its first entry: a new family is tested by itself, a new size of a known one by what it shares with it."""

TIMM = "timm/mobilenetv3_small_050"


CASES = [*((name, 16) for name in (*FAMILIES.values(), TIMM)), ("resnet50", 8), ("resnet50", 32)]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def made(request):
    return Made.of(*request.param)


class TestBackbones(BackboneContract):
    pass


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - set(FAMILIES.values())))
def test_a_larger_member_of_a_family_gives_its_maps(name):
    BackboneContract().test_maps_are_what_channels_and_strides_say(Made.of(name, 16))


@pytest.mark.parametrize(("name", "channels"), [("hrnet_w18", (18, 36, 72, 144)), ("hrnet_w48", (48, 96, 192, 384))])
def test_hrnets_give_their_branches_not_the_classifier_s_maps(name, channels):
    backbone = build_backbone(name, "none", 8)
    assert (backbone.channels, backbone.strides, backbone.parallel) == (channels, (4, 8, 16, 32), True)


def test_a_deep_stem_is_three_convolutions_before_the_same_maps():
    with torch.device("meta"):
        plain, deep = (build_backbone("resnet50", "none", 8, deep_stem=deep_stem) for deep_stem in (False, True))
        other, ignored = (build_backbone("resnet18", "none", 8, deep_stem=deep_stem) for deep_stem in (False, True))
    shapes = [tuple(value.shape) for name, value in deep.named_parameters() if "conv1." in name and value.ndim == 4]
    assert shapes[:3] == [(64, 3, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3)]
    assert (deep.channels, deep.strides) == (plain.channels, plain.strides)
    assert [item.shape for item in ignored.parameters()] == [item.shape for item in other.parameters()]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet81", "resnet18"),
        ("timm/resnet10x", "timm/resnet10t"),
        ("convnext_atto", "timm/convnext_atto"),
        ("timm/resnet18.a4_in1k", "timm/resnet18.a1_in1k"),
        ("???", "choose resnet18"),
    ],
)
def test_unknown_names_get_close_matches(name, hint):
    with pytest.raises(ValueError, match=hint):
        build_backbone(name, "none", 16)


def test_no_pyramid_and_no_dilation_are_errors_with_a_remedy():
    with pytest.raises(ValueError, match="stride 4 and deeper are needed"):
        build_backbone("timm/vit_tiny_patch16_224", "none", 32)
    with pytest.raises(ValueError, match=r"try model\.output_stride: 32"):
        build_backbone("timm/swin_tiny_patch4_window7_224", "none", 8)
