"""What tables call the values of a configuration."""

import re
from dataclasses import replace

import pytest

from orchestrator.plugins.error import PluginError
from orchestrator.plugins.source import read_source
from orchestrator.plugins.titles import read_titles
from orchestrator.workload.plugin_part import PluginPart
from tests.trainer.workload.test_caption import CONFIG, FACTS
from trainer.config import BACKBONE_NAMES, DataConfig, ModelConfig, TrainConfig
from trainer.workload.caption import caption_sentence
from trainer.workload.titles import BACKBONE_TITLES, backbone_title, head_title, timm_title, value_titles


def test_every_tested_backbone_has_a_title():
    assert set(BACKBONE_NAMES) <= set(BACKBONE_TITLES)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("timm/resnet50d", "ResNet-50d"),
        ("timm/tf_efficientnet_b3.ns_jft_in1k", "EfficientNet-B3"),
        ("timm/tf_efficientnetv2_s", "EfficientNetV2-S"),
        ("timm/mobilenetv3_large_100", "MobileNetV3-Large-100"),
        ("timm/convnext_tiny.fb_in22k", "ConvNeXt-Tiny"),
        ("timm/res2net50_26w_4s", "Res2Net-50-26w-4s"),
        ("timm/hrnet_w32", "HRNetV2-W32"),
        ("timm/fancynet_x", "Fancynet-X"),
    ],
)
def test_other_models_of_timm_have_one_by_rule(name, title):
    assert timm_title(name) == title


def test_a_caption_names_the_model_as_its_paper_does():
    model = ModelConfig(backbone="hrnet_w48", weights="imagenet", head="ocr")
    config = TrainConfig(data=replace(CONFIG.data, crop=(64, 96)), model=model)
    assert "HRNetV2-W48 (ImageNet) + OCR, crop 64×96" in caption_sentence([(config, FACTS)], "seeds 0–2")


def test_values_of_rows_have_titles_where_they_differ_from_what_is_typed():
    factors = {
        "model.backbone": "tf_efficientnet_lite0",
        "data.crop": [64, 96],
        "contrast.memory.kind": "pixel",
        "contrast.mining.kind": "semi_hard",
        "contrast.temperature": 0.1,
    }
    assert value_titles(factors, TrainConfig(data=DataConfig(name="synthetic"))) == {
        "model.backbone": "EfficientNet-Lite0",
        "data.crop": "64×96",
        "contrast.mining.kind": "semi-hard",
    }


PLUGIN = """
BACKBONES = {"tiny_net": None}
TITLES = {"tiny_net": "TinyNet (ours)"}
"""


def test_a_plugin_names_its_entries(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    part = PluginPart(source=read_source("mine.py", tmp_path), table="BACKBONES", name="tiny_net")
    model = ModelConfig(backbone="timm/tiny_net", backbone_plugin=part)
    assert backbone_title(model) == "TinyNet (ours)"
    assert head_title(ModelConfig(head_plugin=PluginPart(source=part.source, table="HEADS", name="other"))) == "other"
    config = TrainConfig(data=DataConfig(name="synthetic"), model=model)
    assert value_titles({"model.backbone": "tiny_net"}, config) == {"model.backbone": "TinyNet (ours)"}


def test_wrong_titles_are_one_line_with_their_place(tmp_path):
    (tmp_path / "mine.py").write_text('BACKBONES = {}\n\nTITLES = {"tiny_net": 3}\n')
    with pytest.raises(PluginError, match=re.escape("mine.py:3: TITLES: must map names of entries to texts")):
        read_titles(read_source("mine.py", tmp_path))
