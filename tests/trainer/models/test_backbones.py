"""Every backbone gives a pyramid from stride 4, uses all its parameters, and names its mistakes."""

from __future__ import annotations

import pytest
import torch

from trainer.models.backbones import BACKBONES, build_backbone

LIGHT = ("resnet18", "hrnet_w18", "tf_efficientnet_lite0", "timm/mobilenetv3_small_050")


@pytest.mark.parametrize("name", [*BACKBONES, "timm/mobilenetv3_small_050"])
def test_feature_maps_are_what_channels_and_strides_say(name):
    backbone = build_backbone(name, "none", 16).eval()
    with torch.inference_mode():
        features = backbone(torch.rand(1, 3, 64, 96))
    assert backbone.strides[0] == 4
    assert [tuple(item.shape) for item in features] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_output_stride(name, output_stride):
    assert build_backbone(name, "none", output_stride).strides[-1] == output_stride


@pytest.mark.parametrize(("name", "channels"), [("hrnet_w18", (18, 36, 72, 144)), ("hrnet_w48", (48, 96, 192, 384))])
def test_hrnets_give_their_branches_not_the_classifier_s_maps(name, channels):
    backbone = build_backbone(name, "none", 8)
    assert (backbone.channels, backbone.strides, backbone.parallel) == (channels, (4, 8, 16, 32), True)


@pytest.mark.parametrize("name", LIGHT)
def test_every_parameter_gets_a_gradient(name):
    backbone = build_backbone(name, "none", 32)
    sum(item.square().mean() for item in backbone(torch.rand(2, 3, 64, 64))).backward()
    assert [n for n, parameter in backbone.named_parameters() if parameter.grad is None] == []


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
