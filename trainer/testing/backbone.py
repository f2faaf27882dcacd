"""BackboneContract: what every backbone must do at every output stride. Inherit it and provide the fixture `made`.

Axes: B batch, H W image, h w feature map.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import PluginPart
from trainer.models.backbones import BACKBONES, Backbone, build_backbone

__all__ = ["BackboneContract", "Made"]

SIZE_HW = (64, 96)


@dataclass(frozen=True)
class Made:
    """A backbone with random weights, and the arguments it was built with."""

    name: str
    output_stride: int
    backbone: Backbone
    plugin: PluginPart | None = None

    @classmethod
    def of(cls, name: str, output_stride: int, plugin: PluginPart | None = None) -> Made:
        """Build backbone `name`, which `plugin` may have, at `output_stride`."""
        torch.manual_seed(0)
        return cls(name, output_stride, build_backbone(name, "none", output_stride, plugin=plugin), plugin)


def evaluate(backbone: Backbone, image_B3HW: Tensor) -> tuple[Tensor, ...]:
    """The feature maps in evaluation mode."""
    backbone.eval()
    with torch.inference_mode():
        maps: tuple[Tensor, ...] = backbone(image_B3HW)
    return maps


def images(batch: int = 1, size_hw: tuple[int, int] = SIZE_HW) -> Tensor:
    """Random images (batch, 3, *size_hw)."""
    return torch.rand(batch, 3, *size_hw, generator=torch.Generator().manual_seed(1))


class BackboneContract:
    """Inherit and provide the fixture `made: Made`; tests may share it, because none of them trains it."""

    def test_maps_are_what_channels_and_strides_say(self, made: Made) -> None:
        backbone, (height, width) = made.backbone, SIZE_HW
        assert backbone.strides[0] == 4
        assert list(backbone.strides) == sorted(backbone.strides)
        assert len(backbone.channels) == len(backbone.strides) >= 2
        assert [tuple(item.shape) for item in evaluate(backbone, images())] == [
            (1, channels, height // stride, width // stride)
            for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
        ]

    def test_the_deepest_stride_is_the_one_asked_for(self, made: Made) -> None:
        """A backbone outside `BACKBONES` may have a stride of its own."""
        if made.name in BACKBONES:
            spec = BACKBONES[made.name].code
            assert made.backbone.strides[-1] == (made.output_stride if spec.dilates else 32)
            assert made.backbone.parallel == spec.parallel
        else:
            assert made.backbone.strides[-1] in (8, 16, 32)

    def test_sides_that_are_no_multiple_of_the_stride_are_rounded_up(self, made: Made) -> None:
        multiple = made.backbone.size_multiple
        height, width = (-(-side // multiple) * multiple for side in (45, 71))
        for item, stride in zip(
            evaluate(made.backbone, images(1, (height, width))), made.backbone.strides, strict=True
        ):
            assert tuple(item.shape[2:]) == (-(-height // stride), -(-width // stride))

    def test_an_image_does_not_depend_on_its_neighbours(self, made: Made) -> None:
        backbone, image_B3HW = copy.deepcopy(made.backbone).double(), images(2).double()
        both = evaluate(backbone, image_B3HW)
        for one, alone in zip(both, evaluate(backbone, image_B3HW[1:]), strict=True):
            assert one.isfinite().all()
            torch.testing.assert_close(one[1:], alone)

    def test_dilation_asks_for_no_other_weights(self, made: Made) -> None:
        """So weights trained at stride 32 can be used at every output stride."""
        at_32 = Made.of(made.name, 32, made.plugin).backbone.state_dict()
        shapes = {name: value.shape for name, value in made.backbone.state_dict().items()}
        assert shapes == {name: value.shape for name, value in at_32.items()}
        assert made.backbone.channels == Made.of(made.name, 32, made.plugin).backbone.channels

    def test_every_parameter_gets_a_gradient(self, made: Made) -> None:
        backbone = made.backbone.train()
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # other tests share its statistics
        maps = backbone(images(2, (64, 64)))
        grads = torch.autograd.grad(
            sum(item.square().mean() for item in maps), list(backbone.parameters()), allow_unused=True
        )
        names = [name for name, _ in backbone.named_parameters()]
        assert [name for name, grad in zip(names, grads, strict=True) if grad is None] == []
        assert all(grad.isfinite().all() for grad in grads if grad is not None)

    def test_the_normalisation_is_that_of_its_weights(self, made: Made) -> None:
        mean, std = made.backbone.mean, made.backbone.std
        assert len(mean) == len(std) == 3
        assert all(0 < value < 1 for value in (*mean, *std))
