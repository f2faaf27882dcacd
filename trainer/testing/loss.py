"""LossContract: what every supervised loss must do. Inherit it and provide the fixture `kind`.

A loss that is not in `ORACLES` provides the fixture `oracle` as well.   Axes: B batch, C classes, H W image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.losses import LOSSES, LossSettings

__all__ = ["ORACLES", "WEIGHTS", "LossContract", "Oracle", "example"]

CLASSES = 4
SIZE = (2, 5, 6)
WEIGHTS = (1.0, 0.25, 3.0, 2.0)
Place: TypeAlias = tuple[int, int, int]
Oracle: TypeAlias = Callable[[Tensor, Tensor, LossSettings], float]
"""(logits, label, settings) -> loss, by a slow and obvious computation."""


def example(seed: int = 0, void: float = 0.2) -> tuple[Tensor, Tensor]:
    """Logits (B, C, H, W) and labels (B, H, W) with a share of void pixels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(SIZE[0], CLASSES, *SIZE[1:], generator=generator)
    label = torch.randint(0, CLASSES, SIZE, generator=generator)
    return logits, label.masked_fill(torch.rand(SIZE, generator=generator) < void, 255)


def nothing_labelled() -> tuple[Tensor, Tensor]:
    """An example with void pixels only."""
    return example()[0], torch.full(SIZE, 255)


def settings_of(seed: int) -> LossSettings:
    """Settings that depend on the seed: class weights, threshold, number of kept pixels, factor."""
    draws = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    return LossSettings(
        weight_C=torch.tensor(WEIGHTS) if seed % 2 else None,
        threshold=0.01 + 0.99 * draws[0],
        min_kept=1 + int(39 * draws[1]),
        lovasz_weight=2 * draws[2],
    )


def labelled_places(label: Tensor) -> list[Place]:
    """Indices (b, y, x) of the labelled pixels."""
    places = [(b, y, x) for b in range(SIZE[0]) for y in range(SIZE[1]) for x in range(SIZE[2])]
    return [place for place in places if label[place] != 255]


def probability(logits: Tensor, place: Place, name: int) -> float:
    """Softmax probability of class `name` at a pixel."""
    b, y, x = place
    return float(logits[b, :, y, x].double().softmax(dim=0)[name])


def weighted_mean(logits: Tensor, label: Tensor, settings: LossSettings, places: list[Place]) -> float:
    """Mean of -log p over `places`, weighted by class."""
    total = mass = 0.0
    for place in places:
        name = int(label[place])
        weight = 1.0 if settings.weight_C is None else float(settings.weight_C[name])
        total -= weight * math.log(probability(logits, place, name))
        mass += weight
    return total / mass if mass else 0.0


def slow_cross_entropy(logits: Tensor, label: Tensor, settings: LossSettings) -> float:
    """Cross-entropy, pixel by pixel."""
    return weighted_mean(logits, label, settings, labelled_places(label))


def slow_ohem(logits: Tensor, label: Tensor, settings: LossSettings) -> float:
    """OHEM: sort the pixels by the probability of their class and keep them one by one."""
    probabilities = {place: probability(logits, place, int(label[place])) for place in labelled_places(label)}
    kept = [
        place
        for rank, place in enumerate(sorted(probabilities, key=lambda place: probabilities[place]))
        if probabilities[place] < settings.threshold or rank < SIZE[0] * settings.min_kept
    ]
    return weighted_mean(logits, label, settings, kept)


def jaccard_loss(truth: list[bool], wrong: list[bool]) -> float:
    """1 - intersection over union of a class if the pixels in `wrong` are predicted wrong."""
    hits = sum(t and not w for t, w in zip(truth, wrong, strict=True))
    union = sum(t or w for t, w in zip(truth, wrong, strict=True))
    return 1 - hits / union if union else 0.0


def slow_lovasz(logits: Tensor, label: Tensor, settings: LossSettings) -> float:
    """Lovász extension by definition: errors in descending order, each times the growth of the Jaccard loss."""
    places = labelled_places(label)
    losses = []
    for name in range(CLASSES):
        truth = [int(label[place]) == name for place in places]
        if not any(truth):
            continue
        probabilities = [probability(logits, place, name) for place in places]
        error = [1 - p if t else p for t, p in zip(truth, probabilities, strict=True)]
        wrong, loss = [False] * len(places), 0.0
        for number in sorted(range(len(places)), key=lambda number: -error[number]):
            before = jaccard_loss(truth, wrong)
            wrong[number] = True
            loss += error[number] * (jaccard_loss(truth, wrong) - before)
        losses.append(loss)
    return sum(losses) / len(losses) if losses else 0.0


def slow_sum(logits: Tensor, label: Tensor, settings: LossSettings) -> float:
    """Cross-entropy plus Lovász-softmax."""
    return slow_cross_entropy(logits, label, settings) + settings.lovasz_weight * slow_lovasz(logits, label, settings)


ORACLES: dict[str, Oracle] = {
    "ce": slow_cross_entropy,
    "ohem": slow_ohem,
    "lovasz": slow_lovasz,
    "ce_lovasz": slow_sum,
}
"""The losses of `LOSSES` with loops, in double precision."""


class LossContract:
    """Inherit and provide the fixture `kind: str`, a key of LOSSES, and `oracle: Oracle` if it is not in ORACLES."""

    @pytest.fixture
    def oracle(self, kind: str) -> Oracle:
        return ORACLES[kind]

    @pytest.mark.parametrize("void", [0.0, 0.3, 0.95])
    @pytest.mark.parametrize("seed", range(3))
    def test_it_equals_the_slow_oracle(self, kind: str, oracle: Oracle, seed: int, void: float) -> None:
        logits, label = example(seed, void)
        found = LOSSES[kind].code(logits, label, settings_of(seed))
        assert float(found) == pytest.approx(oracle(logits, label, settings_of(seed)), abs=1e-5)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_without_a_label_it_is_a_differentiable_zero(self, kind: str, weighted: bool) -> None:
        logits, label = nothing_labelled()
        logits.requires_grad_()
        loss = LOSSES[kind].code(logits, label, LossSettings(weight_C=torch.ones(CLASSES) if weighted else None))
        loss.backward()  # type: ignore[no-untyped-call]
        assert float(loss.detach()) == 0.0
        assert logits.grad is not None
        assert not logits.grad.any()

    def test_void_pixels_get_no_gradient_and_have_no_say(self, kind: str) -> None:
        logits, label = example()
        void = (label == 255)[:, None].expand_as(logits)
        other = torch.where(void, 9 * torch.randn_like(logits), logits).requires_grad_()
        loss = LOSSES[kind].code(other, label, LossSettings())
        assert torch.allclose(LOSSES[kind].code(logits, label, LossSettings()), loss)
        loss.backward()  # type: ignore[no-untyped-call]
        assert other.grad is not None
        assert not other.grad[void].any()
        assert other.grad[~void].any()

    def test_it_is_in_float32_and_positive(self, kind: str) -> None:
        logits, label = example()
        loss = LOSSES[kind].code(logits, label, LossSettings())
        assert loss.ndim == 0
        assert loss.dtype == LOSSES[kind].code(logits.bfloat16(), label, LossSettings()).dtype == torch.float32
        assert loss > 0

    def test_names_of_classes_and_order_of_images_do_not_matter(self, kind: str) -> None:
        logits, label = example()
        weight_C = torch.tensor(WEIGHTS)
        order = torch.tensor([2, 0, 3, 1])
        moved = torch.where(label == 255, label, order.argsort()[label.clamp(max=CLASSES - 1)])
        loss = LOSSES[kind].code(logits, label, LossSettings(weight_C=weight_C))
        assert torch.allclose(LOSSES[kind].code(logits[:, order], moved, LossSettings(weight_C=weight_C[order])), loss)
        assert torch.allclose(LOSSES[kind].code(logits.flip(0), label.flip(0), LossSettings(weight_C=weight_C)), loss)

    def test_right_and_sure_costs_next_to_nothing(self, kind: str) -> None:
        _, label = example()
        sure = 50.0 * F.one_hot(label.clamp(max=CLASSES - 1), CLASSES).permute(0, 3, 1, 2)
        assert float(LOSSES[kind].code(sure, label, LossSettings())) == pytest.approx(0, abs=1e-6)

    def test_the_gradient_is_that_of_finite_differences(self, kind: str) -> None:
        logits, label = example(3)
        step, settings = 1e-3, LossSettings(threshold=1.0)
        direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(7))
        logits.requires_grad_()
        LOSSES[kind].code(logits, label, settings).backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        with torch.no_grad():
            ends = [LOSSES[kind].code(logits + sign * step * direction, label, settings) for sign in (1, -1)]
        slope = float(ends[0] - ends[1]) / (2 * step)
        assert float((logits.grad * direction).sum()) == pytest.approx(slope, rel=0.02, abs=1e-3)

    def test_deterministic_algorithms_give_the_same(self, kind: str) -> None:
        logits, label = example()
        settings = LossSettings(weight_C=torch.tensor(WEIGHTS))
        expected = LOSSES[kind].code(logits, label, settings)
        torch.use_deterministic_algorithms(True)
        try:
            found = LOSSES[kind].code(logits, label, settings)
        finally:
            torch.use_deterministic_algorithms(False)
        assert torch.allclose(found, expected)
