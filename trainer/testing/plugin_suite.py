"""The conformance suites for the entries of a plugin, which `python -m trainer.plugins check` collects with pytest.

The environment variable `CONTRAST_PLUGIN` names the file or the module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trainer.build import HEADS
from trainer.config import DataConfig, PluginPart
from trainer.contrast.anchors import AnchorSampler
from trainer.contrast.mining import MINERS
from trainer.data import Source, open_source
from trainer.losses import LOSSES
from trainer.plugins.__main__ import PLUGIN, ROOT
from trainer.plugins.entry import Entry, MetricEntry
from trainer.plugins.loading import Plugin, read_plugin
from trainer.testing.anchor_sampler import SamplerContract
from trainer.testing.backbone import BackboneContract, Made
from trainer.testing.dataset import DatasetContract
from trainer.testing.head import HeadContract
from trainer.testing.loss import LossContract
from trainer.testing.miner import MinerContract

__all__ = ["entries_of"]


def plugin() -> Plugin:
    """The plugin that is checked."""
    return read_plugin(os.environ[PLUGIN], Path())


def entries_of(table: str) -> dict[str, Entry[Any]]:
    """The entries of a table of the plugin."""
    return dict(plugin().tables.get(table, {})) if PLUGIN in os.environ else {}


def with_defaults(entry: Entry[Any]) -> Any:
    """The code of an entry with the defaults of its options."""
    return entry.bound({})


def part_of(table: str, name: str) -> PluginPart:
    """What a configuration says of an entry with the defaults of its options."""
    options = entries_of(table)[name].options
    values = () if options is None else tuple((item.name, item.default) for item in fields(options))
    return PluginPart(source=plugin().source, table=table, name=name, options=values)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], str]:
    """Puts an entry of the plugin into a table of the trainer during a test, with its options at their defaults."""

    def put(name: str, table: Any) -> str:
        entry = entries_of(TABLE_NAMES[id(table)])[name]
        monkeypatch.setitem(table, name, replace(entry, code=with_defaults(entry), options=None))
        return name

    return put


TABLE_NAMES = {id(MINERS): "MINERS", id(LOSSES): "LOSSES", id(HEADS): "HEADS"}


class TestAnchorSampler(SamplerContract):
    @pytest.fixture(params=entries_of("ANCHOR_SAMPLERS"))
    def sample(self, request: pytest.FixtureRequest) -> AnchorSampler:
        sampler: AnchorSampler = with_defaults(entries_of("ANCHOR_SAMPLERS")[request.param])
        return sampler


class TestMiner(MinerContract):
    @pytest.fixture(params=entries_of("MINERS"))
    def kind(self, request: pytest.FixtureRequest, listed: Callable[[str, Any], str]) -> str:
        return listed(request.param, MINERS)

    @pytest.fixture
    def pool(self) -> Any:
        pytest.skip("which candidates it draws from is the plugin's own")


class TestLoss(LossContract):
    @pytest.fixture(params=entries_of("LOSSES"))
    def kind(self, request: pytest.FixtureRequest, listed: Callable[[str, Any], str]) -> str:
        return listed(request.param, LOSSES)

    @pytest.fixture
    def oracle(self) -> Any:
        pytest.skip("its value is the plugin's own")


class TestHead(HeadContract):
    @pytest.fixture(params=entries_of("HEADS"))
    def kind(self, request: pytest.FixtureRequest, listed: Callable[[str, Any], str]) -> str:
        return listed(request.param, HEADS)

    @pytest.fixture(params=["plain"])
    def options(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def has_auxiliary(self) -> bool:
        pytest.skip("whether it has auxiliary logits is the plugin's own")


class TestBackbone(BackboneContract):
    @pytest.fixture(params=entries_of("BACKBONES"))
    def made(self, request: pytest.FixtureRequest) -> Made:
        return Made.of(request.param, 32, part_of("BACKBONES", request.param))


class TestDataset(DatasetContract):
    @pytest.fixture(params=entries_of("DATASETS"))
    def source(self, request: pytest.FixtureRequest) -> Source:
        config = DataConfig(name=request.param, root=os.environ.get(ROOT), plugin=part_of("DATASETS", request.param))
        return open_source(config)


class TestMetric:
    @pytest.fixture(params=entries_of("METRICS"))
    def metric(self, request: pytest.FixtureRequest) -> MetricEntry[Any]:
        entry = entries_of("METRICS")[request.param]
        assert isinstance(entry, MetricEntry)
        return entry

    def sums(self, metric: MetricEntry[Any], label: Tensor, prediction: Tensor) -> Tensor:
        """The sums of one image."""
        found: Tensor = with_defaults(metric)(label, prediction, 4)
        return found

    def scene(self) -> tuple[Tensor, Tensor]:
        """Labels with some void, and predictions of an image."""
        generator = torch.Generator().manual_seed(0)
        label, prediction = torch.randint(0, 4, (2, 20, 30), generator=generator)
        label[::5] = 255
        return label, prediction

    def test_sums_are_a_vector_of_finite_numbers(self, metric: MetricEntry[Any]) -> None:
        sums = self.sums(metric, *self.scene())
        assert sums.ndim == 1
        assert sums.isfinite().all()
        assert isinstance(float(metric.value(sums.double())), float)

    def test_an_image_without_a_labelled_pixel_adds_nothing(self, metric: MetricEntry[Any]) -> None:
        label, prediction = self.scene()
        assert not self.sums(metric, torch.full_like(label, 255), prediction).any()

    def test_predictions_of_void_pixels_do_not_matter(self, metric: MetricEntry[Any]) -> None:
        label, prediction = self.scene()
        other = prediction.where(label != 255, 3 - prediction)
        assert torch.equal(self.sums(metric, label, prediction), self.sums(metric, label, other))
