"""Every anchor sampler of the table against the contract; hard anchors; small classes."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
import torch

from trainer.config import AnchorConfig
from trainer.contrast.anchors import ANCHOR_SAMPLERS, AnchorContext, hard_anchors, skip_thin_classes
from trainer.testing.anchor_sampler import SamplerContract


def test_table_holds_exactly_the_kinds_of_the_config():
    assert set(ANCHOR_SAMPLERS) == set(get_args(get_type_hints(AnchorConfig)["kind"]))


class TestSamplers(SamplerContract):
    @pytest.fixture(params=ANCHOR_SAMPLERS)
    def sample(self, request):
        return ANCHOR_SAMPLERS[request.param].code


def one_class(label_P, prediction_P, per_class, generator):
    return AnchorContext(
        label_Nhw=label_P[None, None],
        prediction_Nhw=prediction_P[None, None],
        classes=1,
        per_class=per_class,
        generator=generator,
    )


@pytest.mark.parametrize(
    ("wrong", "right", "expected_wrong"),
    [(30, 0, 10), (3, 30, 3), (0, 30, 0), (30, 2, 8)],
    ids=["only misclassified", "few misclassified", "none misclassified", "few correct"],
)
def test_hard_takes_half_misclassified_and_fills_up(wrong, right, expected_wrong):
    label_P = torch.zeros(wrong + right, dtype=torch.int64)
    prediction_P = (torch.arange(wrong + right) < wrong).long()
    slots = hard_anchors(one_class(label_P, prediction_P, 10, torch.Generator().manual_seed(0)))
    chosen = slots.index_Gk[0][slots.valid_Gk[0]]
    assert len(chosen.unique()) == 10
    assert int((chosen < wrong).sum()) >= expected_wrong
    assert (chosen[: min(5, wrong)] < wrong).all()


def test_the_other_half_of_hard_is_random_among_all_other_pixels():
    label_P, prediction_P = torch.zeros(1000, dtype=torch.int64), (torch.arange(1000) < 200).long()
    generator, shares = torch.Generator().manual_seed(0), []
    for _ in range(200):
        chosen = hard_anchors(one_class(label_P, prediction_P, 20, generator)).index_Gk[0]
        assert (chosen[:10] < 200).all()
        shares.append(float((chosen[10:] < 200).float().mean()))
    assert abs(sum(shares) / 200 - 190 / 990) < 0.03


def test_thin_classes_and_their_share():
    label_P = torch.tensor([0] * 5 + [1] * 2 + [2] * 1 + [255] * 9)
    kept_C, skipped = skip_thin_classes(label_P, 4, 2)
    assert kept_C.tolist() == [True, True, False, False]
    assert skipped.item() == pytest.approx(1 / 3)
