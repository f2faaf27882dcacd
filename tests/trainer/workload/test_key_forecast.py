"""The expected keys per anchor beside what the contrast counts on labels that are drawn as the forecast assumes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from trainer.config import (
    AnchorConfig,
    ContrastConfig,
    DataConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    ScheduleConfig,
    TrainConfig,
)
from trainer.contrast import PixelContrast
from trainer.workload.key_forecast import KeysPerAnchor, TrainPixels, describe_keys, expected_keys

STEPS, IMAGES, CLASSES = 6, 4, 4
EVEN = TrainPixels.evenly(CLASSES)
UNEVEN = TrainPixels((0.5, 0.2, 0.2, 0.05), (1.0, 0.5, 0.5, 1.0))
"""Classes 1 and 2 are each shown by half of the images, both by a quarter; a twentieth is void."""


def labels(pixels: TrainPixels, generator: torch.Generator) -> torch.Tensor:
    """(B, 64, 64) with the shares of `pixels`."""
    if pixels == EVEN:
        return torch.randint(0, CLASSES, (IMAGES, 64, 64), generator=generator)
    label_B = []
    for image in range(IMAGES):
        first, second = 0.4 * (image % 2), 0.4 * (image // 2 % 2)
        chance = torch.tensor([0.9 - first - second, first, second, 0.05, 0.05])
        label = torch.multinomial(chance, 64 * 64, replacement=True, generator=generator)
        label_B.append(label.masked_fill(label == 4, 255).view(64, 64))
    return torch.stack(label_B)


def config_of(source: str, kind: str, memory: str, keys: int | None, labels: str | None = None) -> TrainConfig:
    contrast = ContrastConfig(
        source=source,
        labels=labels,
        embedding_dim=8,
        keys_per_class=keys,
        anchors=AnchorConfig(kind="random", per_class=6),
        mining=MiningConfig(kind=kind, positives=20, negatives=70, hard_fraction=0.2),
        memory=MemoryConfig(kind=memory, pixels_per_class=40, regions_per_class=15, pixels_per_image=2),
    )
    return TrainConfig(
        data=DataConfig(crop=(64, 64)),
        model=ModelConfig(head="hrnet"),
        contrast=contrast,
        schedule=ScheduleConfig(steps=STEPS, batch_size=IMAGES),
    ).normalised()


@pytest.mark.parametrize("pixels", [EVEN, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize("kind", ["random", "semi_hard"])
@pytest.mark.parametrize(
    ("source", "memory"),
    [("intra_image", "none"), ("inter_image", "none"), ("inter_image", "region"), ("inter_image", "pixel_region")],
)
@pytest.mark.parametrize(("keys", "seen"), [(None, None), (5, None), (None, "shuffled")])
def test_the_contrast_meets_as_many_keys_as_expected(pixels, kind, source, memory, keys, seen):
    config, generator = config_of(source, kind, memory, keys, seen), torch.Generator().manual_seed(0)
    expected = expected_keys(config, pixels)
    module = PixelContrast(config.contrast, CLASSES)
    counted = []
    for step in range(STEPS + 8):
        embedding_BDhw = F.normalize(torch.randn(IMAGES, 8, 16, 16, generator=generator), dim=1)
        label_BHW = labels(pixels, generator)
        if seen == "shuffled":
            label_BHW = module.draw_shuffle(label_BHW, (16, 16), generator=generator)(label_BHW)
        if step < STEPS:
            module.push(embedding_BDhw, label_BHW, generator=generator)
        else:
            stats = module(embedding_BDhw, label_BHW, label_BHW, generator=generator).stats
            counted.append((float(stats["contrast/positives"]), float(stats["contrast/negatives"])))
    positives, negatives = torch.tensor(counted).mean(dim=0).tolist()
    assert expected.positives == pytest.approx(positives, rel=0.1, abs=0.7)
    # Within an image, the pixels of one class are missing from the others, which the forecast does not know.
    rough = source == "intra_image" and pixels == UNEVEN
    assert expected.negatives == pytest.approx(negatives, rel=0.3 if rough else 0.1, abs=0.7)


def cityscapes(memory: str, **knobs: object) -> KeysPerAnchor | None:
    """At the scale of the recipe cityscapes_hrnet_w48."""
    sizes = MemoryConfig(kind=memory, pixels_per_class=29750, regions_per_class=2975)
    config = TrainConfig(
        data=DataConfig(crop=(512, 1024)),
        model=ModelConfig(backbone="hrnet_w48", head="hrnet"),
        contrast=replace(ContrastConfig(memory=sizes), **knobs),
        schedule=ScheduleConfig(steps=40_000, batch_size=8),
    )
    return expected_keys(config.normalised(), TrainPixels.evenly(19))


def test_at_paper_scale_the_rows_of_ablation_memory_meet_the_same_keys():
    """With 100 keys per class they met 10 / 180 (no memory), 308 / 2,048 (region) and 1,024 / 2,048 (pixel)."""
    assert cityscapes("none", keys_per_class=100).text == "10 positives and 180 negatives"
    assert cityscapes("region", keys_per_class=100).text == "308 positives and 2,048 negatives"
    assert cityscapes("pixel", keys_per_class=100).text == "1,024 positives and 2,048 negatives"
    assert {cityscapes(memory).text for memory in ("none", "region", "pixel", "pixel_region")} == {
        "1,024 positives and 2,048 negatives"
    }
    assert cityscapes("pixel", mining=MiningConfig(kind="random")) == cityscapes("pixel")
    assert cityscapes("none", source="none") is None


def test_as_released_meets_the_bank_alone():
    released = cityscapes("region", as_released=True, mining=MiningConfig(kind="random", positives=10**6))
    assert released.positives == 2975


def test_the_stride_of_the_embedding_counts():
    config = config_of("inter_image", "random", "none", None)
    coarse = replace(config, model=ModelConfig(head="deeplabv3", output_stride=16))
    assert expected_keys(config, EVEN).negatives == 70
    assert expected_keys(coarse, EVEN).negatives == 4 * 4 * IMAGES * 3 / 4


NOTE = (
    "note: rows differ by more than a factor of 2 in positives and negatives per anchor, so their differences may come "
    "from that number"
)


def test_the_dry_run_names_rows_that_differ_by_more_than_a_factor_of_2():
    few, many, most = KeysPerAnchor(positives=10, negatives=180), cityscapes("none"), cityscapes("pixel")
    assert describe_keys({"a": None}) == []
    assert describe_keys({"a": None, "b": many, "c": most}) == [
        "keys per anchor, expected: 1,024 positives and 2,048 negatives"
    ]
    assert describe_keys({"a": None, "b": few, "c": most}) == [
        "keys per anchor, expected: 10 positives and 180 negatives (b); 1,024 positives and 2,048 negatives (c)",
        NOTE,
    ]
    near = KeysPerAnchor(positives=600, negatives=2048)
    assert len(describe_keys({"b": near, "c": most})) == 1
