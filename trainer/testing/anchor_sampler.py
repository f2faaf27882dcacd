"""SamplerContract: what every anchor sampler must do. Inherit it and provide the fixture `sample`.

Axes: P pixels, C classes, A slots per class.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trainer.contrast.anchors import AnchorContext, AnchorSampler
from trainer.contrast.groups import Slots

__all__ = ["SamplerContract"]

CLASSES = 5
PIXELS = 300
SHAPE_NHW = (3, 10, 10)
"""Images, height and width of the map of all pixels."""
ABSENT = 3
"""A class without a pixel."""


def draw(seed: int = 0) -> torch.Generator:
    """A fresh generator."""
    return torch.Generator().manual_seed(seed)


def scene(seed: int = 3) -> tuple[Tensor, Tensor]:
    """Labels and predictions (P,): some void pixels, one absent class, and class 4 with six pixels."""
    generator = draw(seed)
    label_P, prediction_P = torch.randint(0, CLASSES - 1, (2, PIXELS), generator=generator)
    label_P[label_P == ABSENT] = 255
    label_P[::7] = 255
    label_P[1:301:50] = 4
    return label_P, prediction_P


def context_of(label_P: Tensor, prediction_P: Tensor, per_class: int, generator: torch.Generator) -> AnchorContext:
    """The arguments of a sampler: the pixels as those of three images."""
    return AnchorContext(
        label_Nhw=label_P.view(SHAPE_NHW),
        prediction_Nhw=prediction_P.view(SHAPE_NHW),
        classes=CLASSES,
        per_class=per_class,
        generator=generator,
    )


def chosen(slots: Slots) -> list[list[int]]:
    """Pixels of each class, in the order of the slots."""
    rows = zip(slots.index_Gk, slots.valid_Gk, strict=True)
    return [index[valid].tolist() for index, valid in rows]


class SamplerContract:
    """Inherit and provide the fixture `sample: AnchorSampler`."""

    @pytest.mark.parametrize("per_class", [1, 6, 40, 500])
    def test_anchors_are_pixels_of_their_class_none_twice_and_the_budget_is_kept(
        self, sample: AnchorSampler, per_class: int
    ) -> None:
        label_P, prediction_P = scene()
        slots = sample(context_of(label_P, prediction_P, per_class, draw()))
        assert slots.index_Gk.shape == slots.valid_Gk.shape == (CLASSES, per_class)
        assert 0 <= int(slots.index_Gk.min()) <= int(slots.index_Gk.max()) < PIXELS
        for name, pixels in enumerate(chosen(slots)):
            assert all(int(label_P[pixel]) == name for pixel in pixels)
            assert len(pixels) == len(set(pixels)) == min(per_class, int((label_P == name).sum()))

    def test_the_filled_slots_of_a_class_come_first(self, sample: AnchorSampler) -> None:
        valid_CA = sample(context_of(*scene(), 40, draw())).valid_Gk
        assert torch.equal(valid_CA, valid_CA.sort(dim=1, descending=True, stable=True).values)

    def test_nothing_labelled_gives_nothing(self, sample: AnchorSampler) -> None:
        slots = sample(context_of(torch.full((PIXELS,), 255), scene()[1], 7, draw()))
        assert not slots.valid_Gk.any()

    def test_equal_generators_give_equal_anchors_and_others_other_ones(self, sample: AnchorSampler) -> None:
        torch.manual_seed(1)
        first = sample(context_of(*scene(), 9, draw(5)))
        torch.manual_seed(2)
        again, other = (sample(context_of(*scene(), 9, draw(seed))) for seed in (5, 6))
        assert chosen(first) == chosen(again) != chosen(other)

    def test_the_inputs_are_left_as_they_are(self, sample: AnchorSampler) -> None:
        label_P, prediction_P = scene()
        sample(context_of(label_P, prediction_P, 9, draw()))
        assert torch.equal(torch.stack([label_P, prediction_P]), torch.stack(scene()))

    def test_names_of_classes_do_not_matter(self, sample: AnchorSampler) -> None:
        """A class keeps its anchors under another number (docs/released_code.md, 4 and 5)."""
        label_P, prediction_P = scene()
        renamed_C = torch.tensor([4, 2, 0, 1, 3])
        moved_P = torch.where(label_P == 255, 255, renamed_C[label_P.clamp(max=CLASSES - 1)])
        before = chosen(sample(context_of(label_P, prediction_P, 9, draw())))
        after = chosen(sample(context_of(moved_P, renamed_C[prediction_P], 9, draw())))
        assert [after[name] for name in renamed_C] == before

    def test_neither_the_id_of_void_nor_what_is_predicted_there_matters(self, sample: AnchorSampler) -> None:
        label_P, prediction_P = scene()
        void_P = label_P == 255
        before = chosen(sample(context_of(label_P, prediction_P, 9, draw())))
        for id_of_void in (-1, CLASSES, 77):
            other_P = label_P.masked_fill(void_P, id_of_void)
            assert chosen(sample(context_of(other_P, prediction_P.masked_fill(void_P, 2), 9, draw()))) == before

    def test_every_pixel_of_a_class_may_become_an_anchor(self, sample: AnchorSampler) -> None:
        label_P, prediction_P = scene()
        generator = draw()
        seen: set[int] = set()
        for _ in range(60):
            seen.update(chosen(sample(context_of(label_P, prediction_P, 20, generator)))[0])
        assert seen == set((label_P == 0).nonzero().flatten().tolist())
