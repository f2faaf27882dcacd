"""The pictures of a trial: they exist, are small, reproducible, and show the right content."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.build import build_segmentor
from trainer.config import BaseSizeConfig, ContrastConfig, DataConfig, ModelConfig, SyntheticConfig
from trainer.data import open_source
from trainer.data.loading.transforms import image_tensor
from trainer.evaluate import evaluate
from trainer.pictures import draw_pictures, evenly_spaced
from trainer.pictures.canvas import MAX_BYTES, save
from trainer.pictures.compared import WIDTH, save_compared
from trainer.pictures.confusion import draw_confusion, shade
from trainer.pictures.embedding import principal_components, sample_embedding
from trainer.pictures.sheet import CELL_WIDTH, GAP, WRONG, draw_errors, draw_sheet

CPU = torch.device("cpu")
SOURCE = open_source(
    DataConfig(synthetic=SyntheticConfig(train_images=2, val_images=2, test_images=5, height=48, width=80))
)


def make_model(**contrast):
    model = ModelConfig(backbone="timm/test_resnet", head="hrnet", head_channels=8)
    return build_segmentor(model, ContrastConfig(embedding_dim=6, **contrast), classes=11, seed=0)


@pytest.mark.parametrize("source", ["none", "inter_image"])
def test_small_files_the_same_twice(tmp_path, source):
    model = make_model(source=source).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scores = evaluate(model, SOURCE, "test", batch_size=2, device=CPU)
    first, again = (draw_pictures(model, SOURCE, "test", scores, tmp_path / name, CPU) for name in "ab")
    assert [path.name for path in first[:3]] == ["sheet.png", "confusion.png", "embedding.png"]
    assert [path.name for path in first[3:6]] == [
        "compare_0000_image.jpg",
        "compare_0000_truth.png",
        "compare_0000_prediction.png",
    ]
    assert len(first) == 3 + 3 * 5, "of all five images of the split"
    assert all(path.stat().st_size < 300_000 for path in first)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("size", "count", "expected"), [(10, 2, [2, 7]), (3, 4, [0, 1, 2]), (1, 4, [0]), (8, 8, [*range(8)])]
)
def test_images_are_spread_over_the_split(size, count, expected):
    assert evenly_spaced(size, count) == expected


def test_a_picture_of_noise_is_made_smaller_until_it_is_small_enough(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 800, 3), dtype=np.uint8))
    path = save(noise, tmp_path / "noise.png")
    assert path.stat().st_size < MAX_BYTES
    with Image.open(path) as found:
        assert found.size == (512, 448), "four fifths, twice"


def test_rare_colours_of_classes_survive(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    pixels[0, 0] = (1, 128, 192)
    with Image.open(save(Image.fromarray(pixels), tmp_path / "a.png", [(1, 128, 192)])) as found:
        assert found.convert("RGB").getpixel((0, 0)) == (1, 128, 192)


def test_errors_are_red_void_is_black_and_right_is_grey():
    image = np.full((1, 3, 3), 100, dtype=np.uint8)
    errors = draw_errors(image, np.array([[1, 2, 255]], np.uint8), np.array([[1, 1, 1]], np.uint8))
    assert errors.tolist() == [[[177] * 3, list(WRONG), [0, 0, 0]]]


def test_the_sheet_has_image_truth_and_prediction_in_their_columns():
    image, label = SOURCE.read("test", 0)
    guess = np.full_like(label, 3)
    pixels = np.asarray(draw_sheet([(image, label, guess)], SOURCE.class_names, SOURCE.palette))
    height = round(CELL_WIDTH * 48 / 80)
    cells = [pixels[16 : 16 + height, i * (CELL_WIDTH + GAP) :][:, :CELL_WIDTH] for i in range(4)]
    assert abs(cells[0].mean() - image.mean()) < 2
    assert (cells[2] == SOURCE.palette[3]).all()
    legal = {tuple(colour) for colour in SOURCE.palette} | {(0, 0, 0)}
    assert {tuple(colour) for colour in cells[1].reshape(-1, 3).tolist()} <= legal


def test_the_confusion_matrix_is_shaded_by_share_of_the_truth():
    picture = draw_confusion([[3, 1], [0, 0]], ["a", "b"])
    corner = (110 + 2, 110 + 2)
    assert picture.getpixel(corner) == shade(0.75)
    assert picture.getpixel((corner[0] + 34, corner[1])) == shade(0.25)
    assert picture.getpixel((corner[0], corner[1] + 34)) == shade(0) == (255, 255, 255)
    many = draw_confusion(np.eye(171, dtype=int).tolist(), [f"class {i}" for i in range(171)])
    assert max(many.size) < 800


def test_principal_components_match_a_singular_value_decomposition():
    points = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32) * [5, 3, 1, 1, 1, 1]
    plane, share = principal_components(points)
    centred = points - points.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(plane) == pytest.approx(np.abs(centred @ directions[:2].T), abs=1e-4)
    assert share == pytest.approx((values[:2] ** 2).sum() / (values**2).sum(), abs=1e-5)
    assert principal_components(points)[0].tolist() == plane.tolist()


@pytest.mark.parametrize("source", ["none", "inter_image"])
def test_points_are_unit_vectors_of_labelled_pixels_inside_the_image(source):
    model = make_model(source=source).eval()
    image, label = SOURCE.read("test", 1)  # 48 x 80: padded to 64 x 96 by the model
    label = np.where(label == 0, 255, label).astype(np.uint8)
    with torch.inference_mode():
        seen = sample_embedding(model, (image, label), 11, CPU)
    assert seen.prediction_HW.shape == label.shape
    assert np.linalg.norm(seen.embedding_ND, axis=1) == pytest.approx(1, abs=1e-4)
    assert seen.embedding_ND.shape[1] == (model.head.tap_channels if source == "none" else 6)
    assert set(seen.label_N.tolist()) <= set(label.flatten().tolist()) - {255}
    assert np.bincount(seen.label_N).max() <= 40


@pytest.mark.parametrize("base", [{"short": 64}, {"long": 50}], ids=str)
def test_pictures_show_what_the_model_sees_at_base_size(base):
    """The logits are resized to the size of the label; the points are spread over the image at base size."""
    model = make_model(source="inter_image").eval()
    image, label = SOURCE.read("test", 1)
    with torch.inference_mode():
        seen = sample_embedding(model, (image, label), 11, CPU, BaseSizeConfig(**base))
        own = sample_embedding(model, (image, label), 11, CPU)
        logits = model(image_tensor(image, BaseSizeConfig(**base))[None]).logits_BCHW
    prediction = torch.nn.functional.interpolate(logits, size=label.shape, mode="bilinear").argmax(dim=1)[0]
    assert (seen.prediction_HW == prediction.numpy()).all()
    assert (len(seen.label_N) > len(own.label_N)) == ("short" in base), "at 64x107, 48x80 or 31x50 pixels"
    assert set(seen.label_N.tolist()) <= set(label.flatten().tolist()) - {255}


def test_a_split_without_labels_is_drawn_too(tmp_path, monkeypatch):
    monkeypatch.setattr(
        type(SOURCE), "read", lambda *_: (np.zeros((48, 80, 3), np.uint8), np.full((48, 80), 255, np.uint8))
    )
    model = make_model()
    scores = evaluate(model, SOURCE, "test", batch_size=1, device=CPU)
    assert len(draw_pictures(model, SOURCE, "test", scores, tmp_path, CPU)) == 3 + 3 * 5


def test_a_compared_image_keeps_its_classes_as_indices_and_void_is_transparent(tmp_path):
    image, label = SOURCE.read("test", 0)
    label = label.copy()
    label[:8] = 255
    guess = np.full_like(label, 3)
    photo, truth, prediction = save_compared(tmp_path, 17, image, label, guess, SOURCE.palette)
    assert photo.name == "compare_0017_image.jpg"
    with Image.open(truth) as found:
        assert (np.asarray(found) == label).all(), "at their own size: 80 pixels are fewer than 240"
        assert found.convert("RGBA").getpixel((0, 0))[3] == 0
        y, x = map(int, np.argwhere(label != 255)[0])
        assert found.convert("RGBA").getpixel((x, y)) == (*SOURCE.palette[label[y, x]], 255)
    with Image.open(prediction) as found:
        assert (np.asarray(found.convert("RGB")) == SOURCE.palette[3]).all()
    with Image.open(photo) as found:
        assert found.size == (80, 48)
        assert abs(np.asarray(found).mean() - image.mean()) < 2


def test_a_large_image_is_reduced_and_stays_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=np.uint8)
    label = np.random.default_rng(1).integers(0, 11, (360, 480), dtype=np.uint8)
    paths = save_compared(tmp_path, 0, noise, label, label, SOURCE.palette)
    for path in paths:
        with Image.open(path) as found:
            assert found.size == (WIDTH, 180)
    assert sum(path.stat().st_size for path in paths) < 100_000, "of noise; photographs are a fifth of it"
