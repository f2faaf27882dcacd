"""Evaluation counts every labelled pixel once for any batch size, and restores the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms.v2 import functional

from trainer.build import build_segmentor
from trainer.config import (
    BaseSizeConfig,
    ContrastConfig,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    SyntheticConfig,
    TrainConfig,
)
from trainer.data import open_source
from trainer.evaluate import evaluate
from trainer.metrics import class_counts, confusion, score
from trainer.models.segmentor import SegmentorOutput

DATA = DataConfig(crop=(32, 64), synthetic=SyntheticConfig(train_images=2, val_images=5, height=32, width=64))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source():
    return open_source(DATA)


@pytest.fixture(scope="module")
def model(source):
    config = ModelConfig(backbone="resnet18", head_channels=8)
    return build_segmentor(config, ContrastConfig(source="none"), classes=len(source.class_names), seed=0)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_equals_image_by_image(source, model, batch_size):
    classes, matrix, counts = len(source.class_names), 0, []
    model.eval()
    for index in range(source.size("val")):
        image_HW3, label_HW = source.read("val", index)
        image = torch.tensor(image_HW3).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            prediction = model(image).logits_BCHW.argmax(dim=1)[0]
        image_CC = confusion(torch.tensor(label_HW).long(), prediction, classes)
        matrix = matrix + image_CC
        counts.append(class_counts(image_CC))
    found = evaluate(model, source, "val", batch_size=batch_size, device=CPU)
    assert found.pixel_accuracy == pytest.approx(score(matrix).pixel_accuracy, abs=1e-3)
    assert found.miou == pytest.approx(score(matrix).miou, abs=1e-3)
    labelled = [count_CK[:, 1].tolist() for count_CK in counts]
    assert found.count_NCK[:, :, 1].tolist() == labelled, "each image at its place in the split"
    assert class_counts(torch.tensor(found.pixels)).tolist() == found.count_NCK.sum(dim=0).tolist()


def test_a_perfect_model_scores_one(source):
    class Oracle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.index = 0

        def forward(self, image):
            _, label_HW = source.read("val", self.index)
            self.index += 1
            logits = torch.nn.functional.one_hot(torch.tensor(label_HW).long().clamp(max=10), 11)
            return SegmentorOutput(logits.permute(2, 0, 1)[None].float(), None, None)

    scores = evaluate(Oracle(), source, "val", batch_size=1, device=CPU)
    assert (scores.miou, scores.pixel_accuracy, scores.mean_accuracy) == (1.0, 1.0, 1.0)


def test_mode_and_weights_are_left_alone(source, model):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, source, "val", batch_size=2, device=CPU)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_window_as_large_as_the_image_is_the_whole_image(source, model):
    whole = evaluate(model, source, "val", batch_size=2, device=CPU)
    assert evaluate(model, source, "val", batch_size=2, device=CPU, views=EvaluationConfig(window=(32, 64))) == whole
    assert evaluate(model, source, "val", batch_size=2, device=CPU, views=EvaluationConfig(window=(99, 99))) == whole


@pytest.mark.parametrize("views", [{"window": (32, 32)}, {"scales": (0.5, 2.0)}, {"flip": True}])
def test_other_views_are_seen(source, model, views):
    whole = evaluate(model, source, "val", batch_size=2, device=CPU)
    assert evaluate(model, source, "val", batch_size=2, device=CPU, views=EvaluationConfig(**views)) != whole


def test_the_matrix_is_kept(source, model):
    found = evaluate(model, source, "val", batch_size=2, device=CPU)
    assert score(torch.tensor(found.pixels)) == found


class Noise:
    """Random images of three sizes, two of them in a row, with random labels."""

    class_names = tuple("abcdefghijk")
    unlabelled = frozenset()
    sizes = ((45, 60), (45, 60), (60, 45), (33, 50))

    def size(self, split):
        return len(self.sizes)

    def read(self, split, index):
        random = np.random.default_rng(index)
        image_HW3 = random.integers(0, 256, (*self.sizes[index], 3), dtype=np.uint8)
        return image_HW3, random.integers(0, 11, self.sizes[index], dtype=np.uint8)


@pytest.mark.parametrize(
    ("base", "sizes", "views"),
    [
        ({"short": 64}, [(64, 85), (64, 85), (85, 64), (64, 97)], {"preset": "single_scale"}),  # 85.33, 96.97
        ({"long": 40}, [(30, 40), (30, 40), (40, 30), (26, 40)], {"scales": (0.5, 1.0), "flip": True}),  # 26.4
        ({}, list(Noise.sizes), {"scales": (0.5, 1.0)}),
    ],
    ids=str,
)
def test_at_base_size_equals_torchvision_image_by_image(base, sizes, views):
    """Each image is resized as a whole, each view's logits to the size of the label; the label is never resized."""
    matrix, source = 0, Noise()
    config = ModelConfig(backbone="timm/test_resnet", head="hrnet", head_channels=8)
    model = build_segmentor(config, ContrastConfig(source="none"), classes=11, seed=0).eval()
    for index, size in enumerate(sizes):
        image_HW3, label_HW = source.read("val", index)
        image = functional.resize(torch.tensor(image_HW3).permute(2, 0, 1), list(size), antialias=True)[None] / 255
        logits = []
        with torch.inference_mode():
            for scale in views.get("scales", (1.0,)):
                view = F.interpolate(image, size=[round(side * scale) for side in size], mode="bilinear")
                logits.append(F.interpolate(model(view).logits_BCHW, size=label_HW.shape, mode="bilinear"))
                if views.get("flip"):
                    mirrored = model(view.flip(-1)).logits_BCHW.flip(-1)
                    logits.append(F.interpolate(mirrored, size=label_HW.shape, mode="bilinear"))
        prediction = torch.stack(logits).mean(dim=0).argmax(dim=1)[0]
        matrix = matrix + confusion(torch.tensor(label_HW).long(), prediction, 11)
    views = TrainConfig(evaluation=EvaluationConfig(**views)).normalised().evaluation
    base_size = BaseSizeConfig(**base)
    found = evaluate(model, source, "val", batch_size=3, device=CPU, views=views, base_size=base_size)
    pixels = torch.tensor(found.pixels)
    assert torch.equal(pixels.sum(dim=1), matrix.sum(dim=1)), "the pixels of the labels, at their own size"
    assert int((pixels - matrix).abs().sum()) <= 20, "of 10,000 predictions, those at a tie may round differently"
