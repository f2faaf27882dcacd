"""float32 unit vectors for any input."""

from __future__ import annotations

import torch

from trainer.models.segmentor import Projection


def test_unit_vectors_at_the_size_of_the_tap():
    embedding = Projection(12, 6)(torch.randn(2, 12, 5, 7) * 100)
    assert embedding.shape == (2, 6, 5, 7)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2, 5, 7), atol=1e-6)


def test_float32_inside_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embedding = Projection(12, 6)(torch.randn(2, 12, 5, 7))
    assert embedding.dtype == torch.float32
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2, 5, 7), atol=1e-6)


def test_every_parameter_gets_a_gradient():
    projection = Projection(12, 6)
    (projection(torch.randn(2, 12, 5, 7)) * torch.randn(2, 6, 5, 7)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in projection.parameters())


def test_the_hidden_width_is_a_knob():
    assert Projection(12, 6).hidden[0].out_channels == 12
    assert Projection(12, 6, hidden=4).hidden[0].out_channels == 4
    assert Projection(12, 6, hidden=4)(torch.randn(2, 12, 5, 7)).shape == (2, 6, 5, 7)
