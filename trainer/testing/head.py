"""HeadContract: what every segmentation head must do, alone and in a network.

Inherit it and provide the fixture `kind`; a head that is not in `AUXILIARY` provides `has_auxiliary` as well.
Axes: B batch, C classes, E tap width, h w feature map.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trainer.build import HEADS, build_segmentor
from trainer.config import ContrastConfig, ModelConfig
from trainer.models.heads.base import FeatureShape, Head
from trainer.models.segmentor import Segmentor

__all__ = ["AUXILIARY", "HeadContract"]

CLASSES = 5

AUXILIARY = {"deeplabv3": True, "hrnet": False, "ocr": True}
"""Whether each head of `HEADS` has auxiliary logits."""

SHAPES = {
    "serial, stride 8": FeatureShape(channels=(4, 6, 8), strides=(4, 8, 8), parallel=False),
    "serial, stride 32": FeatureShape(channels=(4, 6, 8), strides=(4, 8, 32), parallel=False),
    "parallel": FeatureShape(channels=(4, 6, 8, 10), strides=(4, 8, 16, 32), parallel=True),
}
"""Feature shapes of backbones: dilated, plain, and the branches of an HRNet."""

FAMILIES = ("resnet18", "hrnet_w18", "tf_efficientnet_lite0", "timm/mobilenetv3_small_050")


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fusion 3x3, auxiliary 3x3": {"fusion_kernel": 3, "aux_kernel": 3, "aux_channels": 20},
    "auxiliary 1x1, bare classifier": {"aux_kernel": 1, "classifier_relu": False, "classifier_bias": False},
}
"""Fields of `ModelConfig` that change a head."""


def make(kind: str, shape: FeatureShape, options: dict[str, Any]) -> Head:
    """A head with random weights and without dropout."""
    torch.manual_seed(0)
    config = ModelConfig(head=cast(Any, kind), head_channels=12, dropout=0.0, **options)
    return HEADS[kind].code(shape, CLASSES, config)


def maps(shape: FeatureShape, size_hw: tuple[int, int] = (90, 122)) -> list[Tensor]:
    """Feature maps of two images; at the default size, no map is a multiple of another."""
    generator = torch.Generator().manual_seed(1)
    sizes = [tuple(-(-side // stride) for side in size_hw) for stride in shape.strides]
    return [
        torch.randn(2, channels, *size, generator=generator)
        for channels, size in zip(shape.channels, sizes, strict=True)
    ]


def freeze_norms(module: nn.Module) -> None:
    """Put the batch norms of a module into evaluation mode."""
    for item in module.modules():
        if isinstance(item, nn.BatchNorm2d):
            item.eval()


def network(kind: str, backbone: str = "resnet18", *, contrast: bool = True) -> Segmentor:
    """A small network with the head `kind`, with or without a projection."""
    config = ModelConfig(backbone=backbone, head=cast(Any, kind), head_channels=16)
    loss = ContrastConfig(embedding_dim=16) if contrast else ContrastConfig(source="none")
    return build_segmentor(config, loss, classes=CLASSES, seed=0)


class HeadContract:
    """Inherit and provide the fixture `kind: str`, a key of HEADS, and `has_auxiliary` if it is not in AUXILIARY."""

    @pytest.fixture
    def has_auxiliary(self, kind: str) -> bool:
        return AUXILIARY[kind]

    @pytest.fixture(params=OPTIONS)
    def options(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return OPTIONS[request.param]

    @pytest.fixture(params=SHAPES)
    def shape(self, request: pytest.FixtureRequest) -> FeatureShape:
        return SHAPES[request.param]

    def test_logits_and_tap_at_odd_sizes(self, kind: str, shape: FeatureShape, options: dict[str, Any]) -> None:
        head, features = make(kind, shape, options), maps(shape)
        sizes = {item.shape[2:] for item in features}
        for output in (head.train()(features), head.eval()(features)):
            assert output.logits_BChw.shape[:2] == (2, CLASSES)
            assert output.tap_BEhw.shape[:2] == (2, head.tap_channels)
            assert {output.logits_BChw.shape[2:], output.tap_BEhw.shape[2:]} <= sizes
            assert output.logits_BChw.isfinite().all()

    def test_a_parallel_backbone_is_tapped_at_its_finest_map(self, kind: str, options: dict[str, Any]) -> None:
        """The paper embeds the concatenated stride-4 features of HRNet."""
        shape = SHAPES["parallel"]
        head, features = make(kind, shape, options), maps(shape)
        assert head.tap_channels == sum(shape.channels)
        assert head(features).tap_BEhw.shape[2:] == features[0].shape[2:]

    def test_auxiliary_logits_exist_as_declared_and_in_training_only(
        self, kind: str, shape: FeatureShape, options: dict[str, Any], has_auxiliary: bool
    ) -> None:
        head, features = make(kind, shape, options), maps(shape)
        aux_BChw = head.train()(features).aux_BChw
        assert (aux_BChw is not None) == has_auxiliary
        if aux_BChw is not None:
            assert aux_BChw.shape[:2] == (2, CLASSES)
            assert aux_BChw.shape[2:] in {item.shape[2:] for item in features}
        assert head.eval()(features).aux_BChw is None

    def test_every_parameter_gets_a_gradient(self, kind: str, shape: FeatureShape, options: dict[str, Any]) -> None:
        head = make(kind, shape, options)
        output = head(maps(shape))
        loss = output.logits_BChw.square().mean()
        if output.aux_BChw is not None:
            loss = loss + output.aux_BChw.square().mean()
        loss.backward()
        assert [
            name for name, item in head.named_parameters() if item.grad is None or not item.grad.isfinite().all()
        ] == []

    def test_training_only_parts_are_exactly_those_that_inference_does_not_reach(
        self, kind: str, shape: FeatureShape, options: dict[str, Any]
    ) -> None:
        head = make(kind, shape, options).eval()
        head(maps(shape)).logits_BChw.square().mean().backward()
        unused = {name for name, item in head.named_parameters() if item.grad is None}
        prefixes = tuple(f"{name}." for name in head.training_only)
        assert unused == {name for name, _ in head.named_parameters() if prefixes and name.startswith(prefixes)}

    def test_inference_computes_what_training_computed(
        self, kind: str, shape: FeatureShape, options: dict[str, Any]
    ) -> None:
        """Except for dropout and batch-norm statistics."""
        head, features = make(kind, shape, options), maps(shape)
        head(features)  # moves the statistics away from their initial values
        freeze_norms(head.train())
        trained = head(features)
        inferred = head.eval()(features)
        torch.testing.assert_close(inferred.logits_BChw, trained.logits_BChw)
        torch.testing.assert_close(inferred.tap_BEhw, trained.tap_BEhw)

    def test_an_image_does_not_depend_on_its_neighbours(
        self, kind: str, shape: FeatureShape, options: dict[str, Any]
    ) -> None:
        head, features = make(kind, shape, options).eval(), maps(shape)
        alone = head([item[1:] for item in features]).logits_BChw
        torch.testing.assert_close(head(features).logits_BChw[1:], alone)

    def test_features_are_left_as_they_are(self, kind: str, shape: FeatureShape, options: dict[str, Any]) -> None:
        head, features = make(kind, shape, options), maps(shape)
        before = [item.clone() for item in features]
        head(features)
        assert all(torch.equal(one, other) for one, other in zip(features, before, strict=True))

    @pytest.mark.parametrize("backbone", FAMILIES)
    def test_a_training_pass_of_the_network_reaches_every_parameter(self, kind: str, backbone: str) -> None:
        model = network(kind, backbone)
        output = model(torch.rand(2, 3, 64, 96))
        assert output.logits_BCHW.shape == (2, CLASSES, 64, 96)
        assert output.embedding_BDhw is not None
        assert output.embedding_BDhw.shape[:2] == (2, 16)
        direction = torch.randn_like(output.embedding_BDhw)
        loss = output.logits_BCHW.square().mean() + (output.embedding_BDhw * direction).mean()
        if output.aux_logits_BCHW is not None:
            assert output.aux_logits_BCHW.shape == output.logits_BCHW.shape
            loss = loss + output.aux_logits_BCHW.square().mean()
        loss.backward()
        assert [name for name, item in model.named_parameters() if item.grad is None] == []

    def test_inference_has_no_projection_and_costs_exactly_what_the_baseline_does(self, kind: str) -> None:
        image = torch.rand(1, 3, 64, 96)
        flops, logits = [], []
        for model in (network(kind, contrast=False), network(kind)):
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                output = model.eval()(image)
            flops.append(counter.get_total_flops())
            logits.append(output.logits_BCHW)
            assert output.embedding_BDhw is None
            assert output.aux_logits_BCHW is None
        assert flops[0] == flops[1] > 0
        assert torch.equal(logits[0], logits[1])
        assert network(kind, contrast=False).projection is None

    @pytest.mark.parametrize("backbone", ["hrnet_w18", "resnet18"])
    def test_an_image_of_any_size_is_segmented(self, kind: str, backbone: str) -> None:
        model = network(kind, backbone).eval()
        with torch.inference_mode():
            assert model(torch.rand(1, 3, 45, 71)).logits_BCHW.shape == (1, CLASSES, 45, 71)
