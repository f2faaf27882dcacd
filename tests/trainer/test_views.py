"""Windows, scales and mirror images; equal to the whole image if the network sees no neighbours."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from trainer.config import EvaluationConfig
from trainer.views import average_logits, slide, starts

torch.manual_seed(0)
WEIGHT = torch.randn(5, 3, 1, 1)
WIDE = torch.randn(5, 3, 3, 3)


def pointwise(image):
    """A network whose logits at a pixel depend on that pixel alone."""
    return F.conv2d(image, WEIGHT)


def neighbours(image):
    """A network with a receptive field of 3x3 pixels."""
    return F.conv2d(image, WIDE, padding=1)


@pytest.mark.parametrize(
    ("length", "window", "stride", "expected"),
    [(10, 4, 3, [0, 3, 6]), (10, 4, 4, [0, 4, 6]), (4, 4, 2, [0]), (3, 4, 2, [0]), (5, 4, 1, [0, 1])],
)
def test_windows_begin_at_every_stride_and_end_at_the_border(length, window, stride, expected):
    assert starts(length, window, stride) == expected


@pytest.mark.parametrize("window", [(8, 8), (7, 13), (20, 5), (64, 64)])
@pytest.mark.parametrize("stride", [(7, 5), (3, 4), (1, 5)])
def test_sliding_agrees_with_the_whole_image_on_a_pointwise_network(window, stride):
    image = torch.rand(2, 3, 20, 31)
    assert torch.allclose(slide(pointwise, image, window, stride), pointwise(image), atol=1e-5)


def test_sliding_is_the_mean_over_the_windows_that_cover_a_pixel():
    image = torch.rand(1, 3, 6, 9)
    total, count = torch.zeros(1, 5, 6, 9), torch.zeros(6, 9)
    for top in (0, 2):
        for left in (0, 3, 5):
            total[..., top : top + 4, left : left + 4] += neighbours(image[..., top : top + 4, left : left + 4])
            count[top : top + 4, left : left + 4] += 1
    found = slide(neighbours, image, (4, 4), (3, 3))
    assert torch.allclose(found, total / count, atol=1e-5)
    assert not torch.allclose(found, neighbours(image), atol=1e-2)


def test_the_plain_protocol_is_one_look():
    image, looks = torch.rand(2, 3, 8, 8), []
    found = average_logits(lambda view: looks.append(view) or neighbours(view), image, EvaluationConfig())
    assert torch.equal(found, neighbours(image))
    assert len(looks) == 1
    assert looks[0] is image


def test_a_mirror_symmetric_network_gains_nothing_from_the_mirror():
    image = torch.rand(2, 3, 8, 12)
    assert torch.allclose(average_logits(pointwise, image, EvaluationConfig(flip=True)), pointwise(image), atol=1e-6)
    expected = (neighbours(image) + neighbours(image.flip(-1)).flip(-1)) / 2
    assert torch.allclose(average_logits(neighbours, image, EvaluationConfig(flip=True)), expected, atol=1e-6)


def test_scales_of_a_flat_image_agree():
    image = torch.rand(2, 3, 1, 1).expand(2, 3, 16, 20)
    config = EvaluationConfig(scales=(0.5, 0.75, 1.0, 1.7), flip=True)
    assert torch.allclose(average_logits(pointwise, image, config), pointwise(image), atol=1e-5)


def test_scales_by_hand():
    image = torch.rand(1, 3, 16, 24)
    half = F.interpolate(image, size=(8, 12), mode="bilinear", align_corners=False)
    up = F.interpolate(neighbours(half), size=(16, 24), mode="bilinear", align_corners=False)
    found = average_logits(neighbours, image, EvaluationConfig(scales=(0.5, 1.0)))
    assert torch.allclose(found, (up + neighbours(image)) / 2, atol=1e-6)


def test_logits_go_from_a_view_to_the_size_of_the_label_in_one_step():
    image = torch.rand(1, 3, 16, 24)
    half = F.interpolate(image, size=(8, 12), mode="bilinear", align_corners=False)
    both = [
        F.interpolate(neighbours(view), size=(11, 17), mode="bilinear", align_corners=False) for view in (half, image)
    ]
    found = average_logits(neighbours, image, EvaluationConfig(scales=(0.5, 1.0)), (11, 17))
    assert torch.allclose(found, (both[0] + both[1]) / 2, atol=1e-6)


def test_each_scale_is_seen_through_the_window():
    sizes = set()
    config = EvaluationConfig(window=(32, 32), stride=(16, 32), scales=(1.0, 2.0))
    average_logits(lambda view: sizes.add(tuple(view.shape[-2:])) or pointwise(view), torch.rand(1, 3, 24, 40), config)
    assert sizes == {(24, 32), (32, 32)}
