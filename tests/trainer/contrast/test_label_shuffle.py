"""Shuffled labels: a permutation that keeps every count and nothing else; loss and bank see the same one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from trainer.config import AnchorConfig, ContrastConfig, MemoryConfig, MiningConfig, TrainConfig
from trainer.contrast import ANCHOR_SAMPLERS, PixelContrast
from trainer.contrast.label_shuffle import draw_shuffle

CLASSES, SIZE = 4, (6, 5)
CONTRAST = ContrastConfig(
    embedding_dim=3,
    labels="shuffled",
    anchors=AnchorConfig(per_class=9, min_pixels=3),
    mining=MiningConfig(kind="random", positives=30, negatives=40),
    memory=MemoryConfig(pixels_per_class=50, regions_per_class=20, pixels_per_image=4),
)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Labels and predictions of three images at four times the size of the embedding.

    Cells are uniform in neither, classes are rare, missing in an image or in stripes, and there are two void ids.
    """
    label_BHW = torch.randint(0, CLASSES, (3, 24, 20), generator=draw(1))
    label_BHW[0, :12] = 3
    label_BHW[1][label_BHW[1] == 2] = 255
    label_BHW[2, 20:] = -1
    return label_BHW, torch.randint(0, CLASSES, label_BHW.shape, generator=draw(2))


def cells(map_BHW: torch.Tensor) -> list[int]:
    """The value at the centre of each cell, image by image and row by row."""
    images, height, width = map_BHW.shape
    (h, w), found = SIZE, []
    for image in range(images):
        for y in range(h):
            for x in range(w):
                row, column = int((y + 0.5) * height / h), int((x + 0.5) * width / w)
                found.append(int(map_BHW[image, row, column]))
    return found


@pytest.mark.parametrize("within_images", [False, True])
def test_labels_and_predictions_move_together_and_void_stays(within_images):
    label_BHW, prediction_BHW = scene()
    shuffle = draw_shuffle(label_BHW, SIZE, CLASSES, within_images=within_images, generator=draw())
    source_P = shuffle.source_Nhw.flatten().tolist()
    assert sorted(source_P) == list(range(3 * 6 * 5))
    labels, predictions = cells(label_BHW), cells(prediction_BHW)
    assert shuffle(label_BHW).flatten().tolist() == [labels[source] for source in source_P]
    assert shuffle(prediction_BHW).flatten().tolist() == [predictions[source] for source in source_P]
    known = [0 <= label < CLASSES for label in labels]
    for position, source in enumerate(source_P):
        assert known[position] == known[source]
        assert not within_images or position // 30 == source // 30
    assert sum(position != source for position, source in enumerate(source_P)) > 60
    assert within_images or len({(p // 30, s // 30) for p, s in enumerate(source_P)}) == 9


@pytest.mark.parametrize("within_images", [False, True])
def test_where_a_pixel_is_and_what_it_shows_tell_nothing_about_its_label(within_images):
    """Over many draws, every labelled pixel has each class as often as the pixels that it may change places with."""
    label_BHW, _ = scene()
    draws, generator = 2000, draw(5)
    count_PC = torch.zeros(90, CLASSES)
    for _ in range(draws):
        shuffle = draw_shuffle(label_BHW, SIZE, CLASSES, within_images=within_images, generator=generator)
        seen_P = shuffle(label_BHW).flatten()
        count_PC += seen_P[:, None] == torch.arange(CLASSES)
    labels = cells(label_BHW)
    for position, label in enumerate(labels):
        if not 0 <= label < CLASSES:
            assert count_PC[position].sum() == 0
            continue
        others = labels[position // 30 * 30 :][:30] if within_images else labels
        occurrences = Counter(other for other in others if 0 <= other < CLASSES)
        for number in range(CLASSES):
            share = occurrences[number] / occurrences.total()
            deviation = (draws * share * (1 - share)) ** 0.5
            assert abs(count_PC[position, number] - draws * share) <= 5 * deviation


def features() -> torch.Tensor:
    """Unit vectors (3, 3, 6, 5)."""
    return F.normalize(torch.randn(3, 3, *SIZE, generator=draw(7)), dim=1)


@pytest.mark.parametrize("sampler", ANCHOR_SAMPLERS)
@pytest.mark.parametrize("source", ["inter_image", "intra_image"])
def test_the_contrast_meets_as_many_anchors_and_keys_of_the_mini_batch_as_with_the_ground_truth(source, sampler):
    memory, anchors = MemoryConfig(kind="none"), replace(CONTRAST.anchors, kind=sampler)
    module = PixelContrast(replace(CONTRAST, source=source, memory=memory, anchors=anchors), CLASSES)
    label_BHW, prediction_BHW = scene()
    shuffle = module.draw_shuffle(label_BHW, SIZE, generator=draw(3))
    plain = module(features(), label_BHW, prediction_BHW, generator=draw(4)).stats
    control = module(features(), shuffle(label_BHW), shuffle(prediction_BHW), generator=draw(4)).stats
    assert plain["contrast/skipped_share"] == control["contrast/skipped_share"]
    for name in ("anchors", "anchored_share", "anchors_per_class", "positives", "negatives"):
        if source == "intra_image" and name not in ("anchored_share", "anchors_per_class"):
            continue  # which images the anchors of a class are in is random
        assert plain[f"contrast/{name}"] == control[f"contrast/{name}"]
    assert plain["contrast/loss"] != control["contrast/loss"]


def test_purity_is_measured_with_the_ground_truth():
    label_BHW, _ = scene()
    image, y, x = torch.meshgrid(torch.arange(3), torch.arange(6), torch.arange(5), indexing="ij")
    module = PixelContrast(replace(CONTRAST, memory=replace(CONTRAST.memory, kind="pixel")), CLASSES)
    shuffle = module.draw_shuffle(label_BHW, SIZE, generator=draw(3))
    module.push(torch.stack([image, y, x], dim=1).float(), shuffle(label_BHW), generator=draw(), true_BHW=label_BHW)
    (queue,) = module.bank.contents()
    labels, seen, right, rows = cells(label_BHW), shuffle(label_BHW).flatten().tolist(), 0, 0
    for number in range(CLASSES):
        for row in range(int(queue.count_C[number])):
            image_row_column = queue.embedding_CKD[number, row].int().tolist()
            position = image_row_column[0] * 30 + image_row_column[1] * 5 + image_row_column[2]
            assert seen[position] == number
            right, rows = right + (labels[position] == number), rows + 1
    assert rows == sum(min(4, seen[start : start + 30].count(number)) for start in (0, 30, 60) for number in range(4))
    assert 0.05 < right / rows < 0.6
    assert module.diagnostics()["contrast/purity"] == pytest.approx(right / rows)


def test_purity_of_regions_is_the_share_of_true_pixels():
    label_BHW, _ = scene()
    module = PixelContrast(replace(CONTRAST, memory=replace(CONTRAST.memory, kind="region")), CLASSES)
    shuffle = module.draw_shuffle(label_BHW, SIZE, generator=draw(3))
    module.push(features(), shuffle(label_BHW), generator=draw(), true_BHW=label_BHW)
    labels, seen, shares = cells(label_BHW), shuffle(label_BHW).flatten().tolist(), []
    for image in range(3):
        for number in range(CLASSES):
            members = [p for p in range(image * 30, image * 30 + 30) if seen[p] == number]
            if members:
                shares.append(sum(labels[p] == number for p in members) / len(members))
    assert module.diagnostics()["contrast/purity"] == pytest.approx(sum(shares) / len(shares))


def test_as_released_is_refused():
    with pytest.raises(ValueError, match=r"contrast\.labels: shuffled is not supported with contrast\.as_released"):
        ContrastConfig(as_released=True, labels="shuffled")
    ContrastConfig(as_released=True, labels="ground_truth")


def test_without_contrast_there_is_nothing_to_shuffle():
    for off in (ContrastConfig(source="none", labels="shuffled"), ContrastConfig(weight=0, labels="shuffled")):
        assert (
            TrainConfig(contrast=off).normalised() == TrainConfig(contrast=ContrastConfig(source="none")).normalised()
        )
