"""Backbones from timm, reduced to their feature maps.   Axes: B batch, H W image, h w feature map.

BACKBONES              the tested backbones and how to build them
build_backbone(...)    one of them, that of a plugin, or `timm/<name>`; weights as in trainer/models/weights.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, TypeAlias, cast

import timm
from torch import Tensor, nn

from trainer.config import DEEP_STEMS, PluginPart
from trainer.models.weights import Normalisation, load_weights
from trainer.plugins.entry import Entry, chosen

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneBuilder",
    "BackboneRequest",
    "BackboneSpec",
    "TimmBackbone",
    "build_backbone",
]

FINEST_STRIDE = 4
DEEPEST_STRIDE = 32
TIMM_PREFIX = "timm/"


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneRequest:
    """What a backbone is built for."""

    name: str
    """`model.backbone`."""
    weights: str
    """`model.weights`: `none`, `imagenet` or a path."""
    output_stride: int
    """Stride of the deepest feature map that is asked for; a backbone may have another."""
    deep_stem: bool = False
    """`model.stem` is `deep`."""


class Backbone(nn.Module):
    """Normalised images (B, 3, H, W) to a tuple of feature maps from stride 4 to the deepest one.

    To add a backbone, write a subclass in a plugin (docs/own_method.md). Map i is (B, channels[i], H / strides[i],
    W / strides[i]), where sides that are not multiples are rounded up.
    """

    channels: tuple[int, ...]
    """Width of each feature map, finest first."""
    strides: tuple[int, ...]
    """Image pixels per feature pixel, finest first; the first is 4, and there are at least two."""
    parallel: bool = False
    """Whether the features are branches of equal depth (HRNet), whose concatenation is the representation."""
    size_multiple: int = 1
    """Image sides must be multiples of this, pixels."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Of the images that it was trained on, RGB in 0..1."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


BackboneBuilder: TypeAlias = Callable[[BackboneRequest], Backbone]


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneSpec:
    """How to build a backbone of timm."""

    timm_name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `timm.create_model`."""
    dilates: bool = True
    """Whether `output_stride` applies; an HRNet always has four resolutions."""
    parallel: bool = False
    """Whether the features are branches of equal depth (HRNet), whose concatenation is the representation."""
    size_multiple: int = 1
    """Image sides must be multiples of this, pixels."""

    def __call__(self, request: BackboneRequest) -> Backbone:
        """Build it. Raises ValueError if timm refuses the arguments, and WeightsError."""
        deep = request.deep_stem and request.name in DEEP_STEMS
        spec = replace(self, timm_name=DEEP_STEMS[request.name]) if deep else self
        arguments = dict(self.arguments)
        if self.dilates and request.output_stride != DEEPEST_STRIDE:
            arguments["output_stride"] = request.output_stride
        body = create_features(request.name, spec, arguments)
        return TimmBackbone(body, spec, load_weights(body, spec.timm_name, request.weights))


# The `incre` modules of timm's HRNet belong to its classifier; the paper's features are the branches.
HRNET: dict[str, Any] = {
    "arguments": {"feature_location": ""},
    "dilates": False,
    "parallel": True,
    "size_multiple": DEEPEST_STRIDE,
}

BACKBONES: dict[str, Entry[BackboneSpec]] = {
    "resnet18": Entry(code=BackboneSpec(timm_name="resnet18")),
    "resnet50": Entry(code=BackboneSpec(timm_name="resnet50")),
    "resnet101": Entry(code=BackboneSpec(timm_name="resnet101")),
    "hrnet_w18": Entry(code=BackboneSpec(timm_name="hrnet_w18", **HRNET)),
    "hrnet_w48": Entry(code=BackboneSpec(timm_name="hrnet_w48", **HRNET)),
    "tf_efficientnet_lite0": Entry(code=BackboneSpec(timm_name="tf_efficientnet_lite0")),
}


class TimmBackbone(Backbone):
    """A timm model that returns its feature maps from stride 4 to the deepest stride."""

    def __init__(self, body: nn.Module, spec: BackboneSpec, normalisation: Normalisation) -> None:
        super().__init__()
        info = cast(Any, body).feature_info
        strides = tuple(info.reduction())
        self.first = next((i for i, stride in enumerate(strides) if stride >= FINEST_STRIDE), len(strides))
        self.body = body
        self.channels = tuple(info.channels())[self.first :]
        self.strides = strides[self.first :]
        self.parallel = spec.parallel
        self.size_multiple = spec.size_multiple
        self.mean, self.std = normalisation

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, ...]:
        """The feature maps (B, channels[i], H / strides[i], W / strides[i]) of normalised images."""
        return tuple(self.body(image_B3HW)[self.first :])


def build_backbone(
    name: str, weights: str, output_stride: int, *, deep_stem: bool = False, plugin: PluginPart | None = None
) -> Backbone:
    """Build backbone `name` with `weights` (`none`, `imagenet` or a path) and deepest stride `output_stride`.

    `deep_stem` applies to the keys of `DEEP_STEMS`; weights of the plain stem do not fit it, and vice versa. `plugin`:
    its entry, where a plugin has the backbone. Raises ValueError for an unknown name (with close matches), an
    unsupported stride or feature maps that no head can use, and WeightsError for weights that are missing or do not
    fit.
    """
    if plugin is None and name not in BACKBONES:
        build: BackboneBuilder = timm_spec(name)
    else:
        build = chosen(BACKBONES, name, plugin)
    backbone = build(BackboneRequest(name=name, weights=weights, output_stride=output_stride, deep_stem=deep_stem))
    if not backbone.strides or backbone.strides[0] != FINEST_STRIDE or len(backbone.strides) < 2:
        there = ", ".join(map(str, backbone.strides)) or "below 4 only"
        raise ValueError(
            f"model.backbone: {name!r} has feature maps at strides {there}; stride 4 and deeper are needed"
        )
    return backbone


def timm_spec(name: str) -> BackboneSpec:
    """The model `timm/<name>`. Raises ValueError with close matches."""
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
