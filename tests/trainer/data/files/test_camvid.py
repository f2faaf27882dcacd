"""CamVid: layouts, ids, digest, and mistakes in the folder."""

from __future__ import annotations

import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.data.census import take_census
from trainer.data.files.camvid import CLASS_NAMES, PALETTE, CamVid
from trainer.data.reading.cache import DecodedCache
from trainer.errors import DataError

SMALL = Path(__file__).resolve().parents[5] / "shared" / "data" / "camvid_small"
FULL = SMALL.with_name("camvid")
needs_camvid = pytest.mark.skipif(not SMALL.is_dir(), reason="camvid_small does not lie beside the project")


def write_label(path: Path, label_HW) -> None:
    Image.fromarray(np.asarray(label_HW, dtype=np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """Two pairs of 12x8 (width x height) per split; ids 0..10 and void."""
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for part in ("images", "labels"):
            (tmp_path / "set" / split / part).mkdir(parents=True)
        for stem in ("b", "a"):
            folder = tmp_path / "set" / split
            Image.fromarray(rng.integers(0, 255, (8, 12, 3), dtype=np.uint8)).save(folder / "images" / f"{stem}.png")
            label_HW = rng.integers(0, 11, (8, 12))
            label_HW[0, 0] = 255
            write_label(folder / "labels" / f"{stem}.png", label_HW)
    return tmp_path / "set"


def read_back(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def error_of(action) -> str:
    with pytest.raises(DataError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_pairs_come_sorted_and_decoded(root):
    source = CamVid(root)
    assert source.size("train") == 2
    assert source.stems("train") == ("a", "b")
    image_HW3, label_HW = source.read("train", 0)
    assert (image_HW3.shape, image_HW3.dtype) == ((8, 12, 3), np.uint8)
    assert (label_HW.shape, label_HW.dtype) == ((8, 12), np.uint8)
    np.testing.assert_array_equal(image_HW3, read_back(root / "train/images/a.png"))
    np.testing.assert_array_equal(label_HW, read_back(root / "train/labels/a.png"))


def test_defect_15_void_is_not_a_class(root):
    source = CamVid(root)
    assert len(source.class_names) == len(source.palette) == 11
    assert not {"void", "ignore", "unlabelled"} & set(source.class_names)
    assert source.read("train", 0)[1][0, 0] == 255
    write_label(root / "train/labels/a.png", np.full((8, 12), 11))  # void as a twelfth class, as first released
    assert "label id 11" in error_of(lambda: take_census(CamVid(root)))


def test_trainval_is_train_then_val(root):
    source = CamVid(root)
    assert source.size("trainval") == 4
    for index in range(2):
        np.testing.assert_array_equal(source.read("trainval", index)[0], source.read("train", index)[0])
        np.testing.assert_array_equal(source.read("trainval", 2 + index)[0], source.read("val", index)[0])


def test_unknown_split_lists_the_choices(root):
    assert "choose train, val, test, trainval" in error_of(lambda: CamVid(root).size("training"))


def test_a_sound_folder_passes(root):
    (root / "README.md").write_text("about")
    (root / "train/images/.hidden.jpg").write_text("left by a file browser")
    (root / "train/labels/Thumbs.db").write_text("left by another")
    CamVid(root).check_layout()
    take_census(CamVid(root))


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("val/labels/a.png", "images/a.png: no label; add"),
        ("val/images/b.png", "labels/b.png: no image; add"),
        ("test/labels", "labels: no such folder; the layout is"),
        ("val", "images: no such folder; the layout is"),
    ],
)
def test_layout_errors_name_file_and_remedy(root, missing, remedy):
    source = CamVid(root)
    source.check_layout()
    path = root / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert remedy in error_of(source.check_layout)


def test_empty_split_and_double_stem_are_errors(root):
    shutil.copy(root / "train/images/a.png", root / "train/images/a.jpg")
    assert "same stem" in error_of(CamVid(root).check_layout)
    for path in (root / "train").rglob("*.*"):
        path.unlink()
    assert "no image in it" in error_of(CamVid(root).check_layout)


def wrong_id(path: Path) -> None:
    write_label(path, np.full((8, 12), 37))


def wrong_mode(path: Path) -> None:
    Image.new("RGB", (12, 8)).save(path)


def wrong_depth(path: Path) -> None:
    Image.fromarray(np.zeros((8, 12), dtype=np.uint16)).save(path)


def wrong_size(path: Path) -> None:
    write_label(path, np.zeros((8, 13)))


def cut_short(path: Path) -> None:
    write_label(path, np.random.default_rng(1).integers(0, 11, (8, 12)))
    path.write_bytes(path.read_bytes()[:60])


def no_picture(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (wrong_id, "label id 37 (96 pixels); map the ids to 0..10, or 255 for void"),
        (wrong_mode, "mode RGB; save labels as single-channel"),
        (wrong_depth, "save labels as single-channel"),
        (wrong_size, "13x8 pixels, but a.png has 12x8; resize"),
        (cut_short, "cannot be decoded"),
        (no_picture, "cannot be decoded"),
    ],
)
def test_label_errors_name_file_and_remedy(root, damage, words):
    path = root / "test/labels/a.png"
    damage(path)
    for action in (lambda: take_census(CamVid(root)), lambda: CamVid(root).read("test", 0)):
        message = error_of(action)
        assert message.startswith(f"{path}: ")
        assert words in message


def test_undecodable_image_is_named(root):
    path = root / "train/images/b.png"
    path.write_bytes(path.read_bytes()[:100])
    assert error_of(lambda: CamVid(root).read("train", 1)).startswith(f"{path}: cannot be decoded")


def test_palette_labels_are_read_as_ids(root):
    path = root / "train/labels/a.png"
    ids = read_back(path)
    image = Image.fromarray(ids)
    image.putpalette([value for colour in PALETTE for value in colour] + [90] * 3 * 245)
    image.save(path)
    with Image.open(path) as saved:
        assert saved.mode == "P"
    np.testing.assert_array_equal(CamVid(root).read("train", 0)[1], ids)


def test_digest_is_of_content_alone(root, tmp_path):
    digest = CamVid(root).digest()
    assert len(digest) == 64
    copy = shutil.copytree(root, tmp_path / "elsewhere")
    (copy / "README.md").write_text("about")
    for path in copy.rglob("*.png"):
        os.utime(path, (1, 1))
    assert CamVid(copy).digest() == digest
    assert CamVid(copy).signature() != CamVid(root).signature()


@pytest.mark.parametrize("part", ["images", "labels"])
def test_digest_sees_one_changed_pixel_and_a_renamed_pair(root, part):
    digest, signature = CamVid(root).digest(), CamVid(root).signature()
    path = root / "test" / part / "a.png"
    pixels = read_back(path)
    pixels.flat[3] = 0 if pixels.flat[3] else 1
    Image.fromarray(pixels).save(path)
    changed = CamVid(root).digest()
    assert changed != digest
    assert CamVid(root).signature() != signature
    for folder in ("images", "labels"):
        (root / "test" / folder / "a.png").rename(root / "test" / folder / "c.png")
    assert CamVid(root).digest() not in {digest, changed}


def test_pairs_are_decoded_once_and_cannot_be_written_to(root, tmp_path, monkeypatch):
    source = CamVid(root, cache=DecodedCache(tmp_path / "cache", 10**9))
    first = source.read("train", 0)
    np.testing.assert_array_equal(first[0], read_back(root / "train/images/a.png"))
    assert not first[0].flags.writeable
    assert not first[1].flags.writeable
    monkeypatch.setattr(CamVid, "decode", lambda source, pair: pytest.fail("decoded again"))
    np.testing.assert_array_equal(source.read("train", 1)[1], read_back(root / "train/labels/b.png"))
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301  our own bytes
    np.testing.assert_array_equal(copy.read("train", 0)[0], first[0])


@needs_camvid
def test_camvid_small_is_what_its_statistics_say():
    source = CamVid(SMALL)
    source.check_layout()
    take_census(source)
    assert [source.size(split) for split in ("train", "val", "test")] == [96, 32, 32]
    pixels = np.zeros(256, dtype=np.int64)
    for index in range(96):
        pixels += np.bincount(source.read("train", index)[1].reshape(-1), minlength=256)
    share = pixels[:11] / pixels[:11].sum()
    assert share[CLASS_NAMES.index("road")] == pytest.approx(0.32856, abs=1e-4)
    assert share[CLASS_NAMES.index("bicyclist")] == pytest.approx(0.00385, abs=1e-4)
    assert pixels[255] / pixels.sum() == pytest.approx(0.04054, abs=1e-4)


@pytest.mark.skipif(not FULL.is_dir(), reason="camvid does not lie beside the project")
def test_digest_of_forty_megabytes_takes_less_than_a_second():
    source = CamVid(FULL)
    source.digest()
    start = time.process_time()
    source.digest()
    assert time.process_time() - start < 1.0
