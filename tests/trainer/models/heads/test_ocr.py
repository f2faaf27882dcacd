"""Object regions compared with their definition, the attention with a loop over pixels."""

from __future__ import annotations

import torch

from trainer.config import ModelConfig
from trainer.models.heads.base import FeatureShape
from trainer.models.heads.ocr import ObjectAttention, OCRHead, gather_regions


def test_regions_are_weighted_means_of_pixels():
    pixels, logits = torch.randn(2, 4, 3, 5), torch.randn(2, 6, 3, 5)
    regions = gather_regions(pixels, logits)
    for b in range(2):
        for c in range(6):
            weight = logits[b, c].exp() / logits[b, c].exp().sum()
            expected = (pixels[b] * weight).sum(dim=(1, 2))
            assert torch.allclose(regions[b, :, c], expected, atol=1e-5)


def test_a_sure_region_is_its_pixel():
    pixels, logits = torch.randn(1, 4, 3, 5), torch.zeros(1, 2, 3, 5)
    logits[0, 1, 2, 3] = 100.0
    regions = gather_regions(pixels, logits)
    assert torch.allclose(regions[0, :, 0], pixels[0].mean(dim=(1, 2)), atol=1e-6)
    assert torch.allclose(regions[0, :, 1], pixels[0, :, 2, 3], atol=1e-6)


def test_attention_matches_a_loop_over_pixels():
    torch.manual_seed(0)
    attend = ObjectAttention(8).eval()
    pixels, regions = torch.randn(1, 8, 2, 3), torch.randn(1, 8, 5)
    with torch.inference_mode():
        query, key = attend.query(pixels)[0], attend.key(regions[..., None])[0, :, :, 0]
        value = attend.value(regions[..., None])[0, :, :, 0]
        context = torch.zeros(1, 4, 2, 3)
        for y in range(2):
            for x in range(3):
                similarity = torch.stack([query[:, y, x] @ key[:, c] / 4**0.5 for c in range(5)])
                context[0, :, y, x] = value @ similarity.softmax(dim=0)
        assert torch.allclose(attend(pixels, regions), attend.output(context), atol=1e-5)


def test_tap_is_the_input_and_coarse_logits_are_auxiliary():
    shape = FeatureShape(channels=(4, 6), strides=(4, 8), parallel=False)
    head = OCRHead(shape, 3, ModelConfig(head="ocr", head_channels=8, dropout=0.0))
    features = [torch.randn(2, 4, 16, 16), torch.randn(2, 6, 8, 8)]
    output = head(features)
    assert output.tap_BEhw is features[1]
    assert output.aux_BChw.shape == output.logits_BChw.shape == (2, 3, 8, 8)
    assert head.eval()(features).aux_BChw is None
