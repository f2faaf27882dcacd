"""The moving average of the weights, computed by hand."""

from __future__ import annotations

import torch

from trainer.average import WeightAverage
from trainer.build import build_segmentor
from trainer.config import ContrastConfig, ModelConfig

MODEL = ModelConfig(backbone="timm/test_resnet", head_channels=8)


def make_model():
    return build_segmentor(MODEL, ContrastConfig(source="none"), classes=3, seed=0)


def test_by_hand():
    model = make_model()
    average = WeightAverage(model, 0.5)
    name = "head.classify.2.weight"
    expected = model.state_dict()[name].clone()
    for step, decay in [(0, 0.1), (1, 2 / 11), (20, 0.5)]:
        with torch.no_grad():
            model.state_dict()[name].add_(1.0)
        average.update(model, step)
        expected = decay * expected + (1 - decay) * model.state_dict()[name]
        assert torch.allclose(average.state_dict()[name], expected, atol=1e-6)


def test_statistics_are_averaged_and_counters_copied():
    model = make_model()
    average = WeightAverage(model, 0.9)
    model.train()
    model(torch.rand(2, 3, 64, 64))
    average.update(model, 0)
    statistics, own = average.state_dict(), model.state_dict()
    assert torch.allclose(
        statistics["head.classify.0.1.running_mean"], 0.9 * own["head.classify.0.1.running_mean"], atol=1e-7
    )
    assert statistics["head.classify.0.1.num_batches_tracked"] == 1


def test_it_is_a_copy_that_takes_no_gradient_and_comes_back():
    model = make_model()
    average = WeightAverage(model, 0.9)
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    average.update(model, 0)
    again = WeightAverage(make_model(), 0.9)
    again.load_state_dict(average.state_dict())
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in average.state_dict().items())
