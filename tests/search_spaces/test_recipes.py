"""Every recipe trains for a step, every model once at its full width, and recipes have the figures of their sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orchestrator.planning.build_config import ConfigBuilder
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.extends import RECIPE, read_extended
from orchestrator.spec.recipe_file import parse_recipe
from orchestrator.spec.settings import Setting
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.workload.loading import built_in
from trainer.bank_size import require_bank_fits
from trainer.build import build_segmentor
from trainer.config import ComputeConfig, setting
from trainer.contrast.module import PixelContrast
from trainer.data import DATASETS
from trainer.data.loading.batches import Batch
from trainer.optim import build_optimizer
from trainer.step import TrainStep
from trainer.testing.look_alikes import LOOK_ALIKES

SPACES = Path(__file__).parents[2] / "search_spaces"
RECIPES = sorted((SPACES / "recipes").rglob("*.yaml"))
RELEASED = [path for path in RECIPES if path.parent.name == "released"]
CROP = (64, 64)
CLASSES = {"synthetic": 11, "camvid": 11, "cityscapes": 19, "pascal_context": 59, "coco_stuff_10k": 171}
PUBLISHED = {
    "camvid_deeplabv3_r101": ("resnet101", "deeplabv3", (360, 480), 16, 40_000, 0.02),
    "camvid_hrnet_w48": ("hrnet_w48", "hrnet", (352, 480), 16, 40_000, 0.02),
    "camvid_ocr_w48": ("hrnet_w48", "ocr", (352, 480), 16, 40_000, 0.02),
    "cityscapes_deeplabv3_r101": ("resnet101", "deeplabv3", (512, 1024), 8, 40_000, 0.01),
    "cityscapes_hrnet_w48": ("hrnet_w48", "hrnet", (512, 1024), 8, 40_000, 0.01),
    "cityscapes_ocr_w48": ("hrnet_w48", "ocr", (512, 1024), 8, 40_000, 0.01),
    "pascal_context_hrnet_w48": ("hrnet_w48", "hrnet", (512, 512), 16, 60_000, 0.001),
    "pascal_context_ocr_w48": ("hrnet_w48", "ocr", (512, 512), 16, 60_000, 0.001),
    "coco_stuff_hrnet_w48": ("hrnet_w48", "hrnet", (512, 512), 16, 60_000, 0.001),
    "coco_stuff_ocr_w48": ("hrnet_w48", "ocr", (512, 512), 16, 60_000, 0.001),
}
"""Backbone, head, crop, batch, steps and rate of the published protocols."""
SMALL_MEMORY = {"pixels_per_class": 100, "regions_per_class": 20}
TRAINING_IMAGES = {"camvid": 367, "cityscapes": 2975, "pascal_context": 4998, "coco_stuff_10k": 9000}


def read_recipe(path):
    recipe = parse_recipe(read_extended(path, RECIPE))
    assert recipe.settings.mistakes == recipe.search.mistakes == ()
    settings = {item.key: item for item in recipe.settings.settings}
    settings.setdefault("data.root", Setting(key="data.root", value="somewhere", origin="test"))
    return ConfigBuilder(built_in()).build(settings, str(path)).config


NARROW = {"backbone": "timm/test_resnet", "head_channels": 16, "aux_channels": 8}


def name_of(path):
    return path.relative_to(SPACES / "recipes").with_suffix("").as_posix()


def require_step(config, **model):
    """One step at a reduced crop, with as many classes as the data set has."""
    contrast = replace(
        config.contrast,
        warmup_fraction=0.0,
        anchors=replace(config.contrast.anchors, min_pixels=1, per_class=4),
        memory=replace(config.contrast.memory, **SMALL_MEMORY),
    )
    small = replace(
        config,
        data=replace(config.data, crop=CROP),
        model=replace(config.model, weights="none", **model),
        contrast=contrast,
        schedule=replace(config.schedule, batch_size=2),
    )
    classes = CLASSES[config.data.name]
    model = build_segmentor(small.model, small.contrast, classes=classes, seed=0)
    contrast = PixelContrast(small.contrast, classes)
    step = TrainStep(small, model, contrast, build_optimizer(model, small.optim), torch.device("cpu"))
    metrics = step(Batch(torch.rand(2, 3, *CROP), torch.randint(0, classes, (2, *CROP))), 0)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert metrics["train/contrast"] > 0
    gradients = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert gradients == []


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_a_recipe_trains_for_a_step(path):
    """With a narrow network; the next test has the wide ones."""
    config = read_recipe(path)
    assert config.data.name in DATASETS
    require_step(config, **NARROW)


FAMILIES = {(model.backbone, model.head): path for path in RECIPES for model in [read_recipe(path).model]}
"""Backbone and head -> the last recipe with them, a released one where there is one: it has the most options."""


@pytest.mark.slow  # the networks of the publications
@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_each_backbone_and_head_trains_for_a_step_at_full_width(family):
    require_step(read_recipe(FAMILIES[family]))


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_a_recipe_states_its_evaluation_protocol(path):
    """The preset by name, and the base size of the data sets that the released code resizes."""
    stated = {item.key: item.value for item in parse_recipe(read_extended(path, RECIPE)).settings.settings}
    assert stated["evaluation.preset"] == "single_scale"
    resized = stated["data.name"] in ("pascal_context", "coco_stuff_10k")
    assert stated.get("data.base_size.short") == (520 if resized else None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_has_the_published_figures(name):
    config = read_recipe(next(path for path in RECIPES if name_of(path) == name))
    model, schedule = config.model, config.schedule
    found = (model.backbone, model.head, config.data.crop, schedule.batch_size, schedule.steps, config.optim.lr)
    assert found == PUBLISHED[name]
    by_fine_tuning = config.data.name in ("pascal_context", "coco_stuff_10k")
    assert config.optim.weight_decay == (1e-4 if by_fine_tuning else 5e-4)
    assert config.optim.head_lr_multiplier == (10 if by_fine_tuning else 1)
    assert (config.optim.momentum, config.optim.poly_power) == (0.9, 0.9)
    assert config.compute == ComputeConfig(precision="bfloat16")
    assert config.contrast.temperature == 0.1
    assert (config.contrast.mining.positives, config.contrast.mining.negatives) == (1024, 2048)
    memory, images = config.contrast.memory, TRAINING_IMAGES[config.data.name]
    assert memory.regions_per_class == images
    assert memory.pixels_per_class == (20_000 if config.data.name == "coco_stuff_10k" else 10 * images)
    require_bank_fits(memory, CLASSES[config.data.name], config.contrast.embedding_dim)
    weights = config.loss.class_weights
    assert weights is None or len(weights) == CLASSES[config.data.name]


RELEASED_FIGURES = {
    "released/cityscapes_hrnet_w48": (3, 0.1, None, 0.1 * 0.1 / 0.07, 0.1, 0.125, 0),
    "released/cityscapes_hrnet_w48_memory": (3, 0.1, None, 1.0, 0.07, 0.125, 5000),
    "released/cityscapes_ocr_w48": (None, 0.05, 720, 0.1 * 0.1 / 0.07, 0.1, 0.125, 0),
    "released/cityscapes_deeplabv3_r101": (3, 0.0, 256, 0.1 * 0.1 / 0.07, 0.1, 0.125, 0),
    "released/camvid_hrnet_w48": (3, 0.1, None, 0.1, 0.07, 3000 / 40000, 5000),
}
"""Fusion kernel, dropout, auxiliary width, weight, temperature, warm-up, rows per queue of H_48_D_4.json and so on."""


@pytest.mark.parametrize("path", RELEASED, ids=name_of)
def test_a_released_recipe_has_the_figures_of_the_released_configuration(path):
    config = read_recipe(path)
    model, contrast = config.model, config.contrast
    kernel, dropout, aux_channels, weight, temperature, warmup, rows = RELEASED_FIGURES[name_of(path)]
    assert (model.fusion_kernel, model.dropout, model.aux_channels) == (kernel, dropout, aux_channels)
    assert model.align_corners
    assert contrast.weight == pytest.approx(weight, rel=1e-5)
    assert (contrast.temperature, contrast.warmup_fraction) == (temperature, warmup)
    assert (contrast.memory.kind == "none") == (rows == 0)
    if rows:
        assert contrast.memory.pixels_per_class == contrast.memory.regions_per_class == rows
        others = CLASSES[config.data.name] - 1
        assert (contrast.mining.positives, contrast.mining.negatives) == (2 * rows, 2 * rows * others)
    assert (config.optim.lr, config.optim.weight_decay, config.schedule.steps) == (0.01, 5e-4, 40_000)
    assert config.schedule.batch_size == (16 if config.data.name == "camvid" else 8)
    assert setting(config.compute, "precision") == "float32"
    require_bank_fits(contrast.memory, CLASSES[config.data.name], contrast.embedding_dim)


@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem != "synthetic"], ids=name_of)
def test_a_search_never_chooses_on_the_split_that_the_recipe_reports(path, tmp_path):
    """Each recipe with look-alike data of two training images (of CamVid, two of one video)."""
    name = read_recipe(path).data.name
    LOOK_ALIKES[name](tmp_path / "data")
    options = {
        "recipe": name_of(path),
        "settings": [f"data.root={tmp_path / 'data'}", "model.weights=none", "data.absent_classes=allow"],
    }
    search = plan_sweep(read_spec(SPACES / "search_temperature_weight.yaml", **options), run_dir=tmp_path / "runs")
    data = search.trials[0].config.data
    assert search.record.val_overlaps_test is False
    splits = ("val", "train") if name == "camvid" else ("search", "train_without_search")
    assert (data.val_split, data.train_split) == splits
    ablation = plan_sweep(read_spec(SPACES / "ablation_contrast.yaml", **options), run_dir=tmp_path / "runs")
    assert {trial.config.data.train_split for trial in ablation.trials} == {"train"}
    assert {trial.config.data.test_split for trial in ablation.trials} == {data.test_split}
