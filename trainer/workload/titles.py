"""What captions and tables call the values of a configuration: `EfficientNet-Lite0` for `tf_efficientnet_lite0`.

A plugin names its own entries in a dictionary `TITLES` (`orchestrator.plugins.titles`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.plugins.titles import title_in_plugin
from trainer.config import ModelConfig, TrainConfig

__all__ = ["VALUE_TITLES", "backbone_title", "head_title", "size_text", "value_titles"]

BACKBONE_TITLES = {
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "hrnet_w18": "HRNetV2-W18",
    "hrnet_w48": "HRNetV2-W48",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "timm/test_resnet": "ResNet-test",
}
"""As their papers write them; `timm_title` makes those of other models of timm."""

HEAD_TITLES = {"deeplabv3": "DeepLabV3", "hrnet": "HRNet head", "ocr": "OCR"}
WEIGHT_TITLES = {"none": "random init", "imagenet": "ImageNet"}

VALUE_TITLES: Mapping[str, Mapping[str, str]] = {
    "model.backbone": BACKBONE_TITLES,
    "model.head": HEAD_TITLES,
    "model.weights": WEIGHT_TITLES,
    "loss.kind": {"ce": "cross-entropy", "ohem": "OHEM", "lovasz": "Lovász", "ce_lovasz": "cross-entropy + Lovász"},
    "contrast.source": {"none": "no contrast", "intra_image": "intra-image", "inter_image": "inter-image"},
    "contrast.mining.kind": {"semi_hard": "semi-hard"},
    "contrast.memory.kind": {"pixel_region": "pixel + region"},
    "contrast.labels": {"ground_truth": "ground truth"},
    "evaluation.preset": {"single_scale": "single scale", "multi_scale_flip": "multi-scale + flip"},
}
"""By dotted key and value; a value that is not here is shown as it is typed."""

SIZES = ("data.crop", "evaluation.window")
"""Keys of a height and a width in pixels."""

PLUGIN_FIELDS = {
    "model.backbone": "backbone_plugin",
    "model.head": "head_plugin",
    "loss.kind": "plugin",
    "contrast.anchors.kind": "plugin",
    "contrast.mining.kind": "plugin",
    "data.name": "plugin",
}
"""The field beside a key that holds the plugin whose entry the key names."""

FAMILIES = {
    name.lower(): name
    for name in (
        *(
            "CSPNet",
            "ConvNeXt",
            "ConvNeXtV2",
            "DLA",
            "DenseNet",
            "EdgeNeXt",
            "EfficientNet",
            "EfficientNetV2",
            "GhostNet",
        ),
        *("HRNetV2", "MaxViT", "MixNet", "MnasNet", "MobileNetV2", "MobileNetV3", "MobileNetV4", "RegNetX", "RegNetY"),
        *(
            "RepVGG",
            "Res2Net",
            "ResNeSt",
            "ResNeXt",
            "ResNet",
            "ResNetV2",
            "SEResNet",
            "SelecSLS",
            "Swin",
            "VGG",
            "ViT",
        ),
        "Xception",
    )
} | {"hrnet": "HRNetV2"}
"""How the names of architectures are written, by timm's spelling."""


def backbone_title(model: ModelConfig) -> str:
    """The backbone as a paper writes it."""
    if model.backbone_plugin is not None:
        return title_in_plugin(model.backbone_plugin)
    return BACKBONE_TITLES.get(model.backbone) or timm_title(model.backbone)


def head_title(model: ModelConfig) -> str:
    """The segmentation head as a paper writes it."""
    if model.head_plugin is not None:
        return title_in_plugin(model.head_plugin)
    return HEAD_TITLES.get(model.head, f"{model.head} head")


def timm_title(name: str) -> str:
    """A model of timm as a paper would write it, without the tag of its weights.

    >>> timm_title("timm/tf_efficientnet_b3.ns_jft_in1k")
    'EfficientNet-B3'
    >>> timm_title("timm/mobilenetv3_large_100")
    'MobileNetV3-Large-100'
    >>> timm_title("timm/resnet50d")
    'ResNet-50d'
    """
    first, *others = name.removeprefix("timm/").partition(".")[0].removeprefix("tf_").split("_")
    family, size = re.fullmatch(r"(.+?(?:v\d)?)(\d+[a-z]{0,2})?", first).groups()  # type: ignore[union-attr] # matches any text
    words = [FAMILIES.get(family, family[:1].upper() + family[1:]), size or "", *map(capitalised, others)]
    return "-".join(word for word in words if word)


def capitalised(word: str) -> str:
    """`Large`, `B3`; a word that begins with a digit stays as it is."""
    return word[:1].upper() + word[1:]


def size_text(sides: Sequence[int]) -> str:
    """Height and width: `64×96`."""
    return "×".join(map(str, sides))


def value_titles(factors: Mapping[str, Any], config: TrainConfig) -> dict[str, str]:
    """What tables call the values of `factors`, which a row with this config sets by dotted key.

    A key whose value is shown as it is typed is left out.
    """
    found = {key: title_of(key, value, config) for key, value in factors.items()}
    return {key: title for key, title in found.items() if title}


def title_of(key: str, value: Any, config: TrainConfig) -> str:
    """The title of one value; empty where it has none."""
    if key in SIZES and isinstance(value, list | tuple):
        return size_text(value)
    if not isinstance(value, str):
        return ""
    if key in PLUGIN_FIELDS:
        block: Any = config
        for name in key.split(".")[:-1]:
            block = getattr(block, name)
        part = getattr(block, PLUGIN_FIELDS[key])
        if part is not None and part.name == value:
            return title_in_plugin(part)
    title = VALUE_TITLES.get(key, {}).get(value, "")
    return title or (timm_title(value) if key == "model.backbone" and value.startswith("timm/") else "")
