"""Backbones from timm, reduced to their feature maps.   Axes: B batch, H W image, h w feature map.

BACKBONES              the tested backbones and how to build them
build_backbone(...)    one of them, or `timm/<name>`; weights as in trainer/models/weights.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, cast

import timm
from torch import Tensor, nn

from trainer.config import DEEP_STEMS
from trainer.models.weights import Normalisation, load_weights

__all__ = ["BACKBONES", "Backbone", "BackboneSpec", "build_backbone"]

FINEST_STRIDE = 4
DEEPEST_STRIDE = 32
TIMM_PREFIX = "timm/"


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """How to build a backbone."""

    timm_name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `timm.create_model`."""
    dilates: bool = True
    """Whether `output_stride` applies; an HRNet always has four resolutions."""
    parallel: bool = False
    """Whether the features are branches of equal depth (HRNet), whose concatenation is the representation."""
    size_multiple: int = 1
    """Image sides must be multiples of this, pixels."""


# The `incre` modules of timm's HRNet belong to its classifier; the paper's features are the branches.
HRNET: dict[str, Any] = {
    "arguments": {"feature_location": ""},
    "dilates": False,
    "parallel": True,
    "size_multiple": DEEPEST_STRIDE,
}

BACKBONES: dict[str, BackboneSpec] = {
    "resnet18": BackboneSpec(timm_name="resnet18"),
    "resnet50": BackboneSpec(timm_name="resnet50"),
    "resnet101": BackboneSpec(timm_name="resnet101"),
    "hrnet_w18": BackboneSpec(timm_name="hrnet_w18", **HRNET),
    "hrnet_w48": BackboneSpec(timm_name="hrnet_w48", **HRNET),
    "tf_efficientnet_lite0": BackboneSpec(timm_name="tf_efficientnet_lite0"),
}


class Backbone(nn.Module):
    """A timm model that returns its feature maps from stride 4 to the deepest stride."""

    def __init__(self, body: nn.Module, spec: BackboneSpec, normalisation: Normalisation) -> None:
        super().__init__()
        info = cast(Any, body).feature_info
        strides = tuple(info.reduction())
        self.first = next((i for i, stride in enumerate(strides) if stride >= FINEST_STRIDE), len(strides))
        self.body = body
        self.channels: tuple[int, ...] = tuple(info.channels())[self.first :]
        """Width of each feature map, finest first."""
        self.strides: tuple[int, ...] = strides[self.first :]
        """Image pixels per feature pixel, finest first."""
        self.parallel = spec.parallel
        self.size_multiple = spec.size_multiple
        self.mean, self.std = normalisation

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """The feature maps (B, channels[i], H / strides[i], W / strides[i]) of normalised images."""
        return tuple(self.body(image_B3HW)[self.first :])


def build_backbone(name: str, weights: str, output_stride: int, *, deep_stem: bool = False) -> Backbone:
    """Build backbone `name` with `weights` (`none`, `imagenet` or a path) and deepest stride `output_stride`.

    `deep_stem` applies to the keys of `DEEP_STEMS`; weights of the plain stem do not fit it, and vice versa. Raises
    ValueError for an unknown name (with close matches) or an unsupported stride, and WeightsError for weights that are
    missing or do not fit.
    """
    spec = find_spec(name)
    if deep_stem and name in DEEP_STEMS:
        spec = replace(spec, timm_name=DEEP_STEMS[name])
    arguments = dict(spec.arguments)
    if spec.dilates and output_stride != DEEPEST_STRIDE:
        arguments["output_stride"] = output_stride
    body = create_features(name, spec, arguments)
    normalisation = load_weights(body, spec.timm_name, weights)
    backbone = Backbone(body, spec, normalisation)
    if not backbone.strides or backbone.strides[0] != FINEST_STRIDE or len(backbone.strides) < 2:
        there = ", ".join(map(str, cast(Any, body).feature_info.reduction()))
        raise ValueError(
            f"model.backbone: {name!r} has feature maps at strides {there}; stride 4 and deeper are needed"
        )
    return backbone


def find_spec(name: str) -> BackboneSpec:
    """The entry of `BACKBONES`, or a new one for `timm/<name>`. Raises ValueError with close matches."""
    if name in BACKBONES:
        return BACKBONES[name]
    if name.startswith(TIMM_PREFIX):
        timm_name = name.removeprefix(TIMM_PREFIX)
        architecture, _, tag = timm_name.partition(".")
        known = timm.list_pretrained(f"{architecture}.*") if tag else timm.list_models()
        if timm_name in known:
            return BackboneSpec(timm_name=timm_name, size_multiple=DEEPEST_STRIDE)
        close = [TIMM_PREFIX + match for match in get_close_matches(timm_name, known, n=3)]
    else:
        close = get_close_matches(name, BACKBONES, n=3)
        if timm.is_model(name):
            close = [TIMM_PREFIX + name]
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?" if close else f"choose {', '.join(BACKBONES)} or timm/<name>"
    )
    raise ValueError(f"model.backbone: unknown backbone {name!r}; {hint}")


def create_features(name: str, spec: BackboneSpec, arguments: Mapping[str, Any]) -> nn.Module:
    """Create the timm model without its classifier. Raises ValueError if timm refuses the arguments."""
    try:
        body: nn.Module = timm.create_model(spec.timm_name, features_only=True, **arguments)
    except (TypeError, AssertionError, NotImplementedError, RuntimeError, AttributeError) as error:
        stride = arguments.get("output_stride")
        remedy = f"; it may not allow output stride {stride}: try model.output_stride: 32" if stride else ""
        raise ValueError(f"model.backbone: {name!r} gives no feature maps ({error}){remedy}") from error
    return body
