"""Augmentation: geometry compared with simple references, alignment of image and label, no global state."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from trainer.config import BaseSizeConfig, DataConfig
from trainer.data.loading.draws import between, draw_sample, draw_span
from trainer.data.loading.transforms import (
    PAD_GREY,
    adjust_contrast,
    augment_into,
    image_tensor,
    jitter,
    resize_label,
)

PLAIN = {"scale": (1.0, 1.0), "flip_probability": 0.0, "color_jitter": 0.0}


def pair_of(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), rng.integers(
        0, 11, (height, width), dtype=np.uint8
    )


def label_tensor(label_HW):
    return torch.from_numpy(label_HW.copy()).to(torch.int64)


def augment(pair, config, seed):
    """A random crop in new tensors."""
    image_3hw, label_hw = torch.empty(3, *config.crop), torch.empty(config.crop, dtype=torch.int64)
    augment_into(image_3hw, label_hw, pair, draw_sample(*pair[1].shape, config, seed))
    return image_3hw, label_hw


def test_types_and_ranges():
    image, label = augment(pair_of(60, 80), DataConfig(crop=(40, 48)), seed=3)
    assert (image.shape, image.dtype) == ((3, 40, 48), torch.float32)
    assert (label.shape, label.dtype) == ((40, 48), torch.int64)
    assert type(image) is type(label) is torch.Tensor
    assert image.is_contiguous()
    assert 0 <= image.min() <= image.max() <= 1
    assert set(label.unique().tolist()) <= {*range(11), 255}


def test_without_augmentation_the_whole_image_comes_back():
    pair = pair_of(40, 48)
    image, label = augment(pair, DataConfig(crop=(40, 48), **PLAIN), seed=0)
    assert torch.equal(image, image_tensor(pair[0]))
    assert torch.equal(label, label_tensor(pair[1]))
    assert torch.equal((image * 255).round().to(torch.uint8).permute(1, 2, 0), torch.tensor(pair[0]))


def test_flip_mirrors_both():
    pair = pair_of(40, 48)
    image, label = augment(pair, DataConfig(crop=(40, 48), **{**PLAIN, "flip_probability": 1.0}), seed=0)
    assert torch.equal(image, image_tensor(pair[0]).flip(-1))
    assert torch.equal(label, label_tensor(pair[1]).flip(-1))


def test_a_crop_is_a_window_and_windows_reach_every_edge():
    pair = pair_of(34, 35)
    whole = label_tensor(pair[1])
    found = set()
    for seed in range(120):
        image, label = augment(pair, DataConfig(crop=(32, 32), **PLAIN), seed)
        places = [
            (top, left)
            for top in range(3)
            for left in range(4)
            if torch.equal(whole[top : top + 32, left : left + 32], label)
        ]
        assert len(places) == 1
        top, left = places[0]
        assert torch.equal(image, image_tensor(pair[0])[:, top : top + 32, left : left + 32])
        found.add(places[0])
    assert len(found) == 12


def step_by_step(pair, config, seed):
    """The same sample by torchvision's functions alone, each making a new image; the mean of the contrast by numpy."""
    random = Random(seed)
    image_HW3, label_HW = pair
    short = config.base_size.short
    scale = between(random, *config.scale) * (1 if short is None else short / min(label_HW.shape))
    rows = draw_span(random, label_HW.shape[0], scale, config.crop[0])
    columns = draw_span(random, label_HW.shape[1], scale, config.crop[1])
    flip = random.random() < config.flip_probability
    image_3HW = torch.from_numpy(image_HW3[rows.source, columns.source].copy()).permute(2, 0, 1)
    image = F.resize(image_3HW, [rows.inside, columns.inside], InterpolationMode.BILINEAR, antialias=True)
    image = F.to_dtype(image, torch.float32, scale=True)
    strength = config.color_jitter
    changes = [
        (random.random(), change, between(random, 1 - strength, 1 + strength))
        for change in (F.adjust_brightness, contrast_of_numpys_mean, F.adjust_saturation)
    ]
    for _, change, factor in sorted(changes, key=lambda item: item[0]):
        image = change(image, factor) if strength else image
    label = torch.from_numpy(label_HW[rows.source, columns.source].copy())[None]
    label = tv_tensors.Mask(F.resize_image(label, [rows.inside, columns.inside], InterpolationMode.NEAREST_EXACT)[0])
    padding = [columns.before, rows.before, columns.after, rows.after]
    image, label = F.pad(image, padding, fill=PAD_GREY), F.pad(label, padding, fill=255)
    if flip:
        image, label = F.horizontal_flip(image), F.horizontal_flip(label)
    return image, label.as_subclass(torch.Tensor).to(torch.int64)


def contrast_of_numpys_mean(image, factor):
    mean = float(F.rgb_to_grayscale(image).numpy().mean(dtype=np.float64))
    return (image * factor + (1 - factor) * mean).clamp(0, 1)


@pytest.mark.parametrize(("height", "width"), [(60, 80), (37, 141), (180, 240)])
@pytest.mark.parametrize(("strength", "short"), [(0.0, None), (0.25, None), (0.25, 90)])
def test_the_result_is_that_of_torchvision_step_by_step(height, width, strength, short):
    """In place and with flip and jitter in another order; up to rounding, because a CPU may fuse other operations."""
    base_size = BaseSizeConfig(short=short)
    pair = pair_of(height, width)
    config = DataConfig(crop=(64, 96), color_jitter=strength, base_size=base_size)
    for seed in range(30):
        image, label = augment(pair, config, seed)
        expected_image, expected_label = step_by_step(pair, config, seed)
        torch.testing.assert_close(image, expected_image, rtol=0, atol=1e-6)
        assert torch.equal(label, expected_label)


def test_a_sample_fills_its_place_in_a_batch_and_no_other():
    pair, config = pair_of(60, 80), DataConfig(crop=(40, 48))
    image_B3hw, label_Bhw = torch.full((3, 3, 40, 48), 7.0), torch.full((3, 40, 48), 77)
    augment_into(image_B3hw[1], label_Bhw[1], pair, draw_sample(*pair[1].shape, config, 5))
    image_3hw, label_hw = augment(pair, config, 5)
    assert torch.equal(image_B3hw[1], image_3hw)
    assert torch.equal(label_Bhw[1], label_hw)
    assert (image_B3hw[[0, 2]] == 7).all()
    assert (label_Bhw[[0, 2]] == 77).all()


def test_small_images_are_padded_with_grey_and_void():
    pair = pair_of(20, 48)
    image, label = augment(pair, DataConfig(crop=(40, 48), **PLAIN), seed=1)
    void_HW = label == 255
    assert void_HW.sum() == 20 * 48
    assert torch.all(image[:, void_HW] == PAD_GREY)
    assert torch.equal(label[~void_HW].reshape(20, 48), label_tensor(pair[1]))


@pytest.mark.parametrize(
    ("base", "size", "scale", "expected"),
    [
        ({"short": 40}, (30, 50), 1.0, (40, 67)),  # 66.67
        ({"short": 40}, (50, 30), 1.0, (67, 40)),
        ({"short": 40}, (30, 50), 0.5, (20, 33)),  # 33.33: rounded once, not as half of 67
        ({"short": 40}, (30, 50), 1.5, (60, 100)),
        ({"long": 40}, (30, 50), 1.0, (24, 40)),
        ({"long": 40}, (50, 30), 1.7, (68, 41)),  # 40.8
        ({"short": 33}, (64, 96), 1.0, (33, 50)),  # 49.5: halves become even
        ({}, (30, 50), 1.5, (45, 75)),
    ],
)
def test_base_size_and_random_scale_are_one_resize_to_sides_worked_out_by_hand(base, size, scale, expected):
    config = DataConfig(
        crop=(100, 120), base_size=BaseSizeConfig(**base), **{**PLAIN, "scale": (scale, scale), "color_jitter": 0.0}
    )
    for seed in range(4):
        _, label = augment(pair_of(*size), config, seed)
        inside = label != 255
        assert (int(inside.any(dim=1).sum()), int(inside.any(dim=0).sum())) == expected


@pytest.mark.parametrize("base", [{"short": 48}, {"long": 48}, {"short": 100}])
@pytest.mark.parametrize("size", [(48, 72), (90, 61)])
def test_a_whole_crop_at_base_size_is_the_image_that_is_evaluated(base, size):
    base_size, pair = BaseSizeConfig(**base), pair_of(*size)
    side = base.get("short") or base["long"]
    reference = min(size) if "short" in base else max(size)
    crop = tuple(round(length * side / reference) for length in size)
    image, _ = augment(pair, DataConfig(crop=crop, base_size=base_size, **PLAIN), seed=0)
    evaluated = image_tensor(pair[0], base_size)
    assert torch.equal(image, evaluated)
    by_pillow = Image.fromarray(pair[0]).resize(crop[::-1], Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(by_pillow) / 255 - evaluated.permute(1, 2, 0).numpy()).max() <= 1.01 / 255


def test_a_base_size_that_the_image_has_changes_no_bit():
    pair, config = pair_of(40, 48), DataConfig(crop=(32, 40))
    for base in ({"short": 40}, {"long": 48}):
        same = replace(config, base_size=BaseSizeConfig(**base))
        for seed in range(5):
            assert all(map(torch.equal, augment(pair, same, seed), augment(pair, config, seed)))
        assert torch.equal(image_tensor(pair[0], same.base_size), image_tensor(pair[0]))


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.4, 2.0])
def test_image_and_label_stay_together_at_every_scale(scale):
    """An image that spells its own label: grey = 20 * id in blocks. Away from borders both must agree."""
    label_HW = np.kron(np.arange(12).reshape(3, 4) % 11, np.ones((24, 24))).astype(np.uint8)
    image_HW3 = np.repeat((label_HW * 20)[..., None], 3, axis=2)
    config = DataConfig(crop=(48, 64), scale=(scale, scale), color_jitter=0.0)
    for seed in range(8):
        image, label = augment((image_HW3, label_HW), config, seed)
        spelled = (image[0] * 255 / 20).round().long()
        inside = label != 255
        assert inside.any()
        agree = (spelled == label) | ~inside
        assert agree.float().mean() > 0.93
        assert ((spelled - spelled.roll(1, 1) == 0) & agree).any()


@pytest.mark.parametrize("factor", [2, 3])
def test_label_and_image_share_their_pixel_centres(factor):
    """Shrunk by k, an edge keeps its place in label and image: torchvision's mask rule would shift it."""
    label_HW = np.zeros((6 * factor, 10 * factor), dtype=np.uint8)
    label_HW[:, 4 * factor + factor // 2 + 1 :] = 1
    small = resize_label(label_HW, 6, 10)
    bilinear = F.resize_image(torch.tensor(label_HW * 255)[None], [6, 10], antialias=True)[0]
    assert torch.equal(small[:, [0, 3, 5, 9]], torch.tensor([0, 0, 1, 1], dtype=torch.uint8).expand(6, 4))
    outside_edge = (bilinear == 0) | (bilinear == 255)
    assert torch.equal((bilinear == 255)[outside_edge], (small == 1)[outside_edge])


@given(
    side=st.integers(1, 400),
    scale=st.floats(0.25, 3.0),
    crop=st.integers(32, 300),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=300, deadline=None)
def test_a_span_fits_source_and_crop(side, scale, crop, seed):
    span = draw_span(Random(seed), side, scale, crop)
    scaled = max(1, round(side * scale))
    assert 0 <= span.first < span.first + span.length <= side
    assert min(span.before, span.after) >= 0
    assert span.before + span.inside + span.after == crop
    assert span.inside == min(crop, scaled)
    assert abs(span.length - span.inside * side / scaled) < 2  # the scale is kept to two source pixels


def test_scale_is_the_size_of_things():
    """Twice as large: a crop of the same size shows half of each side."""
    columns = np.tile(np.arange(96, dtype=np.uint8), (64, 1))
    pair = np.repeat(columns[..., None], 3, axis=2), columns
    for scale, expected in ((1.0, 48), (2.0, 24), (1.5, 32)):
        config = DataConfig(crop=(32, 48), **{**PLAIN, "scale": (scale, scale)})
        _, label = augment(pair, config, seed=5)
        assert label.max() - label.min() + 1 == pytest.approx(expected, abs=2)


def test_equal_seeds_are_equal_and_others_are_not():
    pair, config = pair_of(60, 80), DataConfig(crop=(40, 48))
    images = [augment(pair, config, seed)[0] for seed in (1, 1, 2, 3)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    assert not torch.equal(images[2], images[3])


def test_global_random_states_are_neither_read_nor_moved():
    pair, config = pair_of(60, 80), DataConfig(crop=(40, 48))
    torch.manual_seed(1)
    first = augment(pair, config, 7)[0]
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(augment(pair, config, 7)[0], first)


def test_source_arrays_are_not_written():
    pair = pair_of(60, 80)
    before = [pixels.copy() for pixels in pair]
    for pixels in pair:
        pixels.setflags(write=False)
    for seed in range(5):
        augment(pair, DataConfig(crop=(40, 48)), seed)
    for pixels, copy in zip(pair, before, strict=True):
        np.testing.assert_array_equal(pixels, copy)


def test_contrast_is_torchvisions_whatever_the_threads():
    """Bits may be compared over numbers of threads: all is elementwise, except for a mean that numpy computes."""
    image = torch.rand(3, 200, 300, generator=torch.Generator().manual_seed(0))
    changed = image.clone()
    adjust_contrast(changed, 1.3)
    torch.testing.assert_close(changed, F.adjust_contrast(image, 1.3))
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(augment(pair_of(300, 400), DataConfig(crop=(256, 320)), 2)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])


def drawn(strength, seed):
    return draw_sample(40, 40, DataConfig(crop=(40, 40), **{**PLAIN, "color_jitter": strength}), seed)


def test_jitter_stays_in_range_and_keeps_the_label_out_of_it():
    image = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    jitter(image, drawn(0.0, 0))
    assert torch.equal(image, before)
    for seed in range(10):
        changed = image.clone()
        jitter(changed, drawn(1.0, seed))
        assert 0 <= changed.min() <= changed.max() <= 1
    pair = pair_of(60, 80)
    plain = DataConfig(crop=(40, 48), color_jitter=0.0)
    strong = DataConfig(crop=(40, 48), color_jitter=0.9)
    assert torch.equal(augment(pair, plain, 4)[1], augment(pair, strong, 4)[1])
