"""The sentence under a table."""

from dataclasses import replace

import pytest

from orchestrator.workload.caption import describe_seeds
from trainer.config import BaseSizeConfig, DataConfig, EvaluationConfig, ModelConfig, TrainConfig
from trainer.data.files.camvid import CLASS_NAMES
from trainer.workload.caption import caption_sentence
from trainer.workload.datasets import DataFacts

CONFIG = TrainConfig(
    data=DataConfig(name="camvid", root="anywhere", crop=(160, 208)),
    model=ModelConfig(backbone="tf_efficientnet_lite0", weights="imagenet", head="hrnet"),
)

FACTS = DataFacts(
    title="CamVid",
    digest="0",
    class_names=CLASS_NAMES,
    train_images=96,
    test_images=32,
    parts={"test": ("test",)},
    census=None,
)


def test_one_config_is_described_in_full():
    assert caption_sentence([(CONFIG, FACTS), (replace(CONFIG, seed=1), FACTS)], "seeds 0–1") == (
        "CamVid, test split (32 images, trained on 96), EfficientNet-Lite0 (ImageNet) + HRNet head, crop 160×208, "
        "batch 8, 300 steps, seeds 0–1, whole-image single-scale evaluation"
    )
    assert "(1 image, trained on 96)" in caption_sentence([(CONFIG, replace(FACTS, test_images=1))], "seed 0")


@pytest.mark.parametrize(
    ("base", "text"), [({"short": 520}, "short side 520, crop"), ({"long": 64}, "long side 64, crop")]
)
def test_a_base_size_stands_before_the_crop(base, text):
    config = replace(CONFIG, data=replace(CONFIG.data, base_size=BaseSizeConfig(**base)))
    assert f"HRNet head, {text} 160×208, batch 8" in caption_sentence([(config, FACTS)], "seed 0")
    assert "head, varied crop, batch" in caption_sentence([(config, FACTS), (CONFIG, FACTS)], "seed 0")


def test_own_weights_are_not_described_by_path():
    config = replace(CONFIG, model=replace(CONFIG.model, weights="/somewhere/mine.pth"))

    assert "(own weights)" in caption_sentence([(config, FACTS)], "seed 0")


@pytest.mark.parametrize(
    ("seeds", "text"), [((5,), "seed 5"), ((0, 1, 2), "seeds 0–2"), ((2, 3), "seeds 2–3"), ((1, 3, 5), "seeds 1, 3, 5")]
)
def test_seeds_in_words(seeds, text):
    assert describe_seeds(seeds) == text


@pytest.mark.parametrize(
    ("evaluation", "text"),
    [
        (EvaluationConfig(), "whole-image single-scale evaluation"),
        (EvaluationConfig(flip=True), "whole-image single-scale evaluation with flip"),
        (EvaluationConfig(window=(512, 1024)), "512×1024-window single-scale evaluation"),
        (EvaluationConfig(scales=(0.75, 1.0), flip=True), "whole-image multi-scale (0.75, 1) evaluation with flip"),
    ],
)
def test_test_time_settings_in_words(evaluation, text):
    config = replace(CONFIG, evaluation=evaluation)

    assert caption_sentence([(config, FACTS)], "seed 0").endswith(f"seed 0, {text}")
    assert caption_sentence([(config, FACTS), (CONFIG, FACTS)], "seed 0").endswith("evaluation")
