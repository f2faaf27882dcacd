"""The size of a bank and its limit."""

from __future__ import annotations

import pytest

from trainer.bank_size import bank_gigabytes, require_bank_fits
from trainer.config import ContrastConfig, MemoryConfig, TrainConfig, effective_memory
from trainer.contrast import PixelContrast

COCO = MemoryConfig(kind="pixel", pixels_per_class=90_000)


@pytest.mark.parametrize(
    ("memory", "classes", "expected"),
    [
        (MemoryConfig(kind="pixel", pixels_per_class=10_000), 19, 19 * 10_000 * 256 * 4 / 1e9),
        (MemoryConfig(kind="pixel", pixels_per_class=10_000, dtype="bfloat16"), 19, 19 * 10_000 * 256 * 2 / 1e9),
        (MemoryConfig(kind="region", regions_per_class=50), 2, 2 * 50 * 256 * 4 / 1e9),
        (MemoryConfig(pixels_per_class=10, regions_per_class=3), 1, 13 * 256 * 4 / 1e9),
        (MemoryConfig(kind="none"), 171, 0),
    ],
)
def test_size(memory, classes, expected):
    assert bank_gigabytes(memory, classes, 256) == pytest.approx(expected)


def test_over_the_cap_the_arithmetic_is_told():
    with pytest.raises(ValueError, match=r"171 classes x 90000 rows x 256 wide x 4 bytes \(float32\) = 15.8 GB > 4 GB"):
        PixelContrast(ContrastConfig(memory=COCO), 171)
    with pytest.raises(ValueError, match="float16 halves it"):
        require_bank_fits(COCO, 171, 256)


def test_the_cap_can_be_moved_both_ways():
    require_bank_fits(MemoryConfig(kind="pixel", pixels_per_class=90_000, max_gigabytes=16), 171, 256)
    with pytest.raises(ValueError, match=r"> 0\.001 GB"):
        require_bank_fits(MemoryConfig(max_gigabytes=0.001), 11, 256)
    with pytest.raises(ValueError, match="max_gigabytes"):
        MemoryConfig(max_gigabytes=0)


def test_a_bank_that_is_not_used_takes_nothing():
    require_bank_fits(effective_memory(ContrastConfig(source="intra_image", memory=COCO)), 171, 256)


def test_float32_by_name_is_the_default():
    named = TrainConfig(contrast=ContrastConfig(memory=MemoryConfig(dtype="float32")))
    assert named.normalised() == TrainConfig().normalised()
