"""Parameters of the published networks: counted layer by layer from their descriptions, and the published totals.

The counts by hand know nothing of timm or of our modules: kernel sizes and widths are those of the papers (He et al.
2016; Wang et al. 2020; Chen et al. 2017; Yuan et al. 2020) and of the released code.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainer.build import build_segmentor
from trainer.config import ContrastConfig, ModelConfig

CITYSCAPES = 19
PROJECTED = 256


def conv(inputs, outputs, kernel=1):
    """A convolution without bias, and its batch norm."""
    return inputs * outputs * kernel * kernel + 2 * outputs


def classes(inputs, outputs=CITYSCAPES, *, bias=True):
    """A classifier."""
    return inputs * outputs + (outputs if bias else 0)


def resnet101(*, deep_stem):
    if deep_stem:
        stem = {"stem": conv(3, 64, 3) + conv(64, 64, 3) + conv(64, 128, 3)}
    else:
        stem = {"stem": conv(3, 64, 7)}
    stages, inputs = {}, 128 if deep_stem else 64
    for number, (width, blocks) in enumerate(zip((64, 128, 256, 512), (3, 4, 23, 3), strict=True), start=1):
        count = conv(inputs, 4 * width)  # the shortcut of the first block
        for block in range(blocks):
            count += conv(inputs if block == 0 else 4 * width, width) + conv(width, width, 3) + conv(width, 4 * width)
        stages[f"stage {number}"] = count
        inputs = 4 * width
    return stem | stages


def hrnet_w48():
    layers = {"stem": conv(3, 64, 3) + conv(64, 64, 3)}
    bottleneck = conv(64, 64, 3) + conv(64, 256)
    layers["stage 1"] = conv(64, 256) + conv(64, 64) + bottleneck + 3 * (conv(256, 64) + bottleneck)
    layers["transition 1"] = conv(256, 48, 3) + conv(256, 96, 3)
    widths = [48, 96]
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        if stage > 2:
            layers[f"transition {stage - 1}"] = conv(widths[-1], 2 * widths[-1], 3)
            widths.append(2 * widths[-1])
        module = sum(4 * 2 * conv(width, width, 3) for width in widths)  # four blocks of two convolutions
        for i, to in enumerate(widths):
            for j, source in enumerate(widths):
                if j > i:
                    module += conv(source, to)
                elif j < i:  # i - j convolutions of stride 2, of which the last changes the width
                    module += (i - j - 1) * conv(source, source, 3) + conv(source, to, 3)
        layers[f"stage {stage}"] = modules * module
    return layers


def deeplabv3(width, *, fusion_kernel, aux_width):
    return {
        "ASPP": 2 * conv(2048, width) + 3 * conv(2048, width, 3) + conv(5 * width, width, fusion_kernel),
        "classifier": conv(width, width, 3) + classes(width),
        "auxiliary": conv(1024, aux_width, 3) + classes(aux_width),
    }


def hrnet_head(*, kernel, bias):
    return {"classifier": conv(720, 720, kernel) + classes(720, bias=bias)}


def ocr(*, aux_width, aux_kernel):
    keys = 256
    attention = 2 * (conv(512, keys) + conv(keys, keys)) + conv(512, keys) + conv(keys, 512)
    return {
        "auxiliary": conv(720, aux_width, aux_kernel) + classes(aux_width),
        "pixels": conv(720, 512, 3),
        "attention": attention,
        "classifier": conv(2 * 512, 512) + classes(512),
    }


def projection(inputs):
    return {"projection": conv(inputs, inputs) + inputs * PROJECTED + PROJECTED}


W48 = {"backbone": "hrnet_w48"}
R101 = {"backbone": "resnet101", "head": "deeplabv3"}
NETWORKS = {
    # the recipes of Cityscapes
    "hrnet": (W48 | {"head": "hrnet", "head_channels": 720}, hrnet_w48() | hrnet_head(kernel=1, bias=True)),
    "ocr": (W48 | {"head": "ocr", "head_channels": 512}, hrnet_w48() | ocr(aux_width=512, aux_kernel=1)),
    "deeplabv3": (R101, resnet101(deep_stem=False) | deeplabv3(256, fusion_kernel=1, aux_width=256)),
    # HRNet's repository
    "ocr, auxiliary 720": (
        W48 | {"head": "ocr", "head_channels": 512, "aux_channels": 720},
        hrnet_w48() | ocr(aux_width=720, aux_kernel=1),
    ),
    # the released code
    "released hrnet": (
        W48 | {"head": "hrnet", "head_channels": 720, "fusion_kernel": 3, "classifier_bias": False},
        hrnet_w48() | hrnet_head(kernel=3, bias=False),
    ),
    "released ocr": (
        W48 | {"head": "ocr", "head_channels": 512, "aux_channels": 720, "aux_kernel": 3},
        hrnet_w48() | ocr(aux_width=720, aux_kernel=3),
    ),
    "released deeplabv3": (
        R101
        | {"stem": "deep", "head_channels": 512, "fusion_kernel": 3, "aux_channels": 256, "classifier_relu": False},
        resnet101(deep_stem=True) | deeplabv3(512, fusion_kernel=3, aux_width=256),
    ),
}
"""Fields of `ModelConfig`, and the parameters of each part by hand."""

PARTS = {
    "body.conv1": "stem",
    "body.bn1": "stem",
    "body.conv2": "stem",
    "body.bn2": "stem",
    **{f"body.layer{number}": f"stage {number}" for number in range(1, 5)},
    **{f"body.stage{number}": f"stage {number}" for number in range(2, 5)},
    **{f"body.transition{number}": f"transition {number}" for number in range(1, 4)},
    "head.pyramid": "ASPP",
    "head.aux": "auxiliary",
    "head.coarse": "auxiliary",
    "head.pixels": "pixels",
    "head.attend": "attention",
    "head.classify": "classifier",
    "projection": "projection",
}
"""Our modules -> the parts that are counted."""


def counted(network: nn.Module) -> dict[str, int]:
    """Parameters of each part."""
    parts: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        module = ".".join(name.removeprefix("backbone.").split(".")[:2])
        part = PARTS.get(module) or PARTS[module.partition(".")[0]]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return parts


def build(fields, contrast=None):
    with torch.device("meta"):
        return build_segmentor(
            ModelConfig(**fields), contrast or ContrastConfig(source="none"), classes=CITYSCAPES, seed=0
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_each_part_has_the_parameters_of_its_description(name):
    fields, by_hand = NETWORKS[name]
    network = build(fields, ContrastConfig(embedding_dim=PROJECTED))
    tap = 2048 if fields["backbone"] == "resnet101" else 720
    assert counted(network) == by_hand | projection(tap)


BIASES_BEFORE_NORMS = {
    "hrnet": 720,
    "ocr, auxiliary 720": 720 + 512 + 5 * 256 + 512 + 512,
    "released hrnet": 720,
    "released ocr": 720 + 512 + 5 * 256 + 512 + 512,
    "released deeplabv3": 256,
}
"""Biases that the published code has in front of batch norms, which remove them; ours leaves them out."""


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("hrnet", 65_859_379),  # HRNet's repository says 65.8 M
        ("ocr, auxiliary 720", 70_374_982),  # it says 70.37 M
        ("deeplabv3", 60_995_174),  # 60.99 M
        ("released hrnet", 70_006_560),
        ("released ocr", 74_522_182),
        ("released deeplabv3", 89_570_278),
    ],
)
def test_the_totals_are_the_published_ones(name, published):
    _, by_hand = NETWORKS[name]
    assert sum(by_hand.values()) + BIASES_BEFORE_NORMS.get(name, 0) == published


def test_deeplabv3_has_the_parameters_of_torchvision_s():
    """Whose two classifiers have 21 classes."""
    segmentation = pytest.importorskip("torchvision").models.segmentation
    with torch.device("meta"):
        theirs = segmentation.deeplabv3_resnet101(weights=None, weights_backbone=None, aux_loss=True)
    ours = sum(parameter.numel() for parameter in build(NETWORKS["deeplabv3"][0]).parameters())
    assert ours + 2 * (21 - CITYSCAPES) * (256 + 1) == sum(parameter.numel() for parameter in theirs.parameters())
