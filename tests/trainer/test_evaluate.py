"""Evaluation counts every labelled pixel once for any batch size, and restores the model."""

from __future__ import annotations

import pytest
import torch

from trainer.build import build_segmentor
from trainer.config import ContrastConfig, DataConfig, EvaluationConfig, ModelConfig, SyntheticConfig
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
