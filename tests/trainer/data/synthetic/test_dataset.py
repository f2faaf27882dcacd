"""The synthetic data set: deterministic, with class shares like CamVid, and not solvable by colour."""

from __future__ import annotations

import hashlib
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest

from trainer.config import SyntheticConfig
from trainer.data.files.camvid import CLASS_NAMES, CamVid
from trainer.data.synthetic.dataset import Synthetic
from trainer.errors import DataError

CONFIG = SyntheticConfig()
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def source():
    return Synthetic(CONFIG)


def pixel_counts(source, split):
    return sum(np.bincount(source.read(split, i)[1].reshape(-1), minlength=256) for i in range(source.size(split)))


def test_pairs_have_the_configured_shape(source):
    assert [source.size(split) for split in SPLITS] == [96, 24, 48]
    assert source.stems("val")[:2] == ("val_0000", "val_0001")
    image_HW3, label_HW = source.read("train", 0)
    assert (image_HW3.shape, image_HW3.dtype) == ((96, 128, 3), np.uint8)
    assert (label_HW.shape, label_HW.dtype) == ((96, 128), np.uint8)
    source.check_layout()


def test_same_classes_and_palette_as_camvid(source):
    assert source.class_names == CamVid.class_names
    assert source.palette == CamVid.palette


def test_pixels_depend_on_seed_split_and_index_alone(source):
    other = Synthetic(replace(CONFIG, train_images=200, val_images=7))
    for split in SPLITS:
        for drawn, again in zip(source.read(split, 5), other.read(split, 5), strict=True):
            np.testing.assert_array_equal(drawn, again)
    images = [source.read(split, index)[0].tobytes() for split in SPLITS for index in range(20)]
    images.append(Synthetic(replace(CONFIG, seed=1)).read("train", 0)[0].tobytes())
    assert len(set(images)) == len(images)


def test_drawing_leaves_the_global_random_state_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    Synthetic(CONFIG).read("train", 0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_pixels_are_those_of_the_generator_version(source):
    """A change of the drawing must raise GENERATOR_VERSION: stored results would silently mix two data sets."""
    labels = b"".join(source.read(split, index)[1].tobytes() for split in SPLITS for index in range(3))
    assert hashlib.sha256(labels).hexdigest() == LABELS_OF_VERSION_1
    assert source.digest() == DIGEST_OF_VERSION_1


def test_digest_follows_the_config(source):
    assert source.digest() == source.signature() == Synthetic(CONFIG).digest()
    changed = {
        Synthetic(replace(CONFIG, **change)).digest() for change in ({"seed": 1}, {"width": 96}, {"test_images": 9})
    }
    assert len(changed | {source.digest()}) == 4


def test_shares_are_like_camvids(source):
    """Within a factor of two of CamVid's train split; every class and void in every split."""
    counts = [pixel_counts(source, split) for split in SPLITS]
    for pixels in counts:
        assert set(np.flatnonzero(pixels)) == {*range(11), 255}
    pixels = sum(counts)
    shares = 100 * pixels[:11] / pixels[:11].sum()
    for name, share, camvid in zip(CLASS_NAMES, shares, CAMVID_PERCENT, strict=True):
        assert camvid / 2 < share < camvid * 2, (name, share)
    assert 0.015 < pixels[255] / pixels.sum() < 0.06


def test_the_scene_is_a_street(source):
    """Sky above, road below, and the road widens towards the camera."""
    labels_NHW = np.stack([source.read("train", index)[1] for index in range(96)])
    road_H = (labels_NHW == CLASS_NAMES.index("road")).mean(axis=(0, 2))
    sky_H = (labels_NHW == CLASS_NAMES.index("sky")).mean(axis=(0, 2))
    assert road_H[:40].max() < 0.01
    assert road_H[60] < road_H[72] < road_H[80]
    assert sky_H[:20].min() > 0.2
    assert sky_H[60:].max() == 0


def test_colour_alone_does_not_solve_it(source):
    """The best guess from a pixel's colour (16 steps per channel) on other images stays far from right."""
    tables = np.zeros((4096, 11))
    for index in range(96):
        image_HW3, label_HW = source.read("train", index)
        code = (image_HW3 // 16).reshape(-1, 3) @ np.array([256, 16, 1])
        keep = label_HW.reshape(-1) != 255
        np.add.at(tables, (code[keep], label_HW.reshape(-1)[keep]), 1)
    guess = tables.argmax(axis=1)
    hits, union = np.zeros(11), np.zeros(11)
    for index in range(24):
        image_HW3, label_HW = source.read("val", index)
        predicted = guess[(image_HW3 // 16).reshape(-1, 3) @ np.array([256, 16, 1])].reshape(label_HW.shape)
        for label in range(11):
            right, said = label_HW == label, (predicted == label) & (label_HW != 255)
            hits[label] += (right & said).sum()
            union[label] += (right | said).sum()
    assert 0.05 < (hits / union).mean() < 0.35


def test_test_split_is_darker(source):
    mean = {split: np.mean([source.read(split, i)[0].mean() for i in range(24)]) for split in SPLITS}
    assert abs(mean["train"] - mean["val"]) < 15
    assert mean["test"] < mean["val"] - 25


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 200), (180, 240)])
def test_any_size_draws_sky_and_road(height, width):
    small = Synthetic(SyntheticConfig(height=height, width=width, train_images=8))
    pixels = pixel_counts(small, "train")
    assert pixels[CLASS_NAMES.index("sky")] > 0
    assert pixels[CLASS_NAMES.index("road")] > 0


def test_drawn_pairs_are_kept_guarded_and_left_out_of_a_pickle(source):
    pair = source.read("train", 3)
    assert source.read("train", 3) is pair
    assert not pair[0].flags.writeable
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301  our own bytes
    assert copy.read("train", 3) is not pair
    np.testing.assert_array_equal(copy.read("train", 3)[0], pair[0])


def test_wrong_split_and_index(source):
    with pytest.raises(DataError, match="no split 'trainval'; choose train, val, test"):
        source.read("trainval", 0)
    with pytest.raises(IndexError):
        source.read("val", 24)


def test_drawing_is_fast():
    source = Synthetic(CONFIG)
    seconds = []
    for index in range(30):
        start = time.process_time()
        source.read("train", index)
        seconds.append(time.process_time() - start)
    assert np.median(seconds) < 0.02  # 3 ms on an idle core


CAMVID_PERCENT = (17.538, 24.215, 1.023, 32.960, 4.671, 10.124, 1.221, 1.173, 6.107, 0.666, 0.304)
LABELS_OF_VERSION_1 = "a4b536fb0c4551970014f4e672fe2f7b88ddb5664d4b2d820522bb2c034a7733"
DIGEST_OF_VERSION_1 = "167de549e5cc41ed17e8394aa365177fbc3d2a38eedc7828af254710c55e5133"
