"""Which test images the page shows: the rule against a slow loop, and the page of a sweep whose trials keep images."""

import base64
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from orchestrator.store.image_counts import read_compared_images, write_image_counts
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from reports.render.compared_images import choose_images, compare_images, compared_rows, median_seed
from reports.render.html import render_html
from reports.render.provenance import gather_provenance
from reports.tables.table import build_table
from tests.reports.conftest import make_outcomes, make_sweep

CLASSES = ("road", "sky", "fence")
COLOURS = (128, 64, 128, 70, 130, 180, 190, 153, 153)
SEEDS = (0, 1, 2)
NUMBERS = (1, 4, 7, 9)
"""Test images whose predictions the trials keep, of ten."""
SCORES = {
    "base": {0: (0.5, 0.5, 0.5, 0.5), 1: (0.6, 0.5, 0.5, 0.5), 2: (0.7, 0.5, 0.5, 0.5)},
    "good": {0: (0.6, 0.9, 0.4, 0.5), 1: (0.7, 0.7, 0.4, 0.5), 2: (0.7, 0.5, 0.4, 0.5)},
    "poor": {0: (0.1, 0.1, 0.1, 0.1), 1: (0.1, 0.1, 0.1, 0.1), 2: (0.1, 0.1, 0.1, 0.1)},
}
"""Row -> seed -> share of right pixels in each of these images; image 4 gains most, image 7 loses."""


def slow_choice(value_SN):
    """The rule in plain loops: (rule, image, seed)."""
    images = [n for n in range(value_SN.shape[1]) if all(np.isfinite(row[n]) for row in value_SN)]
    means = {n: sum(float(row[n]) for row in value_SN) / len(value_SN) for n in images}
    found = []
    for rule in ("up", "down", "median"):
        if rule == "up":
            image = max(images, key=lambda n: (means[n], -n))
        elif rule == "down":
            image = min(images, key=lambda n: (means[n], n))
        else:
            image = sorted(images, key=lambda n: (means[n], n))[(len(images) - 1) // 2]
        if image not in [other for _, other, _ in found]:
            of_seeds = sorted(range(len(value_SN)), key=lambda seed: (value_SN[seed][image], seed))
            found.append((rule, image, of_seeds[(len(of_seeds) - 1) // 2]))
    return found


@pytest.mark.parametrize("case", range(40))
def test_the_rule_equals_a_slow_loop(case):
    random = np.random.default_rng(case)
    value_SN = random.integers(-4, 5, (1 + case % 5, 1 + case % 9)) / 8.0  # with ties, and exact means
    value_SN[random.random(value_SN.shape) < 0.05] = np.nan
    if np.isnan(value_SN).any(axis=0).all():
        assert choose_images(value_SN) == []
    else:
        assert [(item.rule, item.image, item.seed) for item in choose_images(value_SN)] == slow_choice(value_SN)


def test_the_median_seed_is_the_lower_one_and_ties_are_in_the_order_of_seeds():
    assert median_seed({3: 0.1, 5: 0.9, 4: 0.5}) == 4
    assert median_seed({3: 0.1, 5: 0.9, 4: 0.5, 6: 0.2}) == 6
    assert median_seed({9: 0.5, 2: 0.5, 4: 0.5}) == 4


def label(value):
    """A label map in which every pixel is of class `value`, as a trial keeps it."""
    picture = Image.fromarray(np.full((4, 6), value, np.uint8))
    picture.putpalette([*COLOURS, *[0] * (768 - len(COLOURS))])
    buffer = BytesIO()
    picture.save(buffer, format="PNG", transparency=255)
    return buffer.getvalue()


def counts_of(row, seed):
    """Ten images of road, in which a share of the pixels is right and the others are called sky."""
    share_N = np.full(10, 0.5)
    share_N[list(NUMBERS)] = SCORES[row][seed]
    right_N = (1000 * share_N).round().astype(np.int64)
    count_NCK = np.zeros((10, 3, 3), dtype=np.int64)
    count_NCK[:, 0] = np.stack([right_N, np.full(10, 1000), right_N], axis=-1)
    count_NCK[:, 1, 2] = 1000 - right_N
    return count_NCK


def swept(tmp_path, *, without=(), baseline="base"):
    """A sweep of three rows whose trials keep four images, but for the row and seed pairs in `without`."""
    sweep = make_sweep({row: {"x": row} for row in SCORES}, seeds=SEEDS, baseline=baseline)
    store = RecordStore(tmp_path / "runs")
    store.write_sweep(sweep)
    means = {row: [float(np.mean(values)) for values in by_seed.values()] for row, by_seed in SCORES.items()}
    outcomes = make_outcomes(means, seeds=SEEDS)
    for run in sweep.cells:
        pictures = {"sheet.png": b"sheet", "confusion.png": b"confusion"}
        for number in NUMBERS if (run.row, run.seed) not in without else ():
            stem = f"compare_{number:04d}"
            pictures |= {
                f"{stem}_image.jpg": b"photo",
                f"{stem}_truth.png": label(0),
                f"{stem}_prediction.png": label(1),
            }
        files = write_image_counts(store, run.trial_id, 1, counts_of(run.row, run.seed), CLASSES, pictures)
        store.end(replace(outcomes[run.trial_id], files=files))
    directory = RunDirectory(tmp_path / "runs")
    return directory.results("ablation_memory"), directory


def test_the_same_images_are_shown_of_the_baseline_and_the_best_row(tmp_path):
    results, directory = swept(tmp_path)
    assert compared_rows(results) == ("base", "good")
    found = compare_images(results, directory)
    shown = [(image.title, image.number, image.seed, image.change) for image in found.images]
    assert shown == [
        ("Largest gain", 4, 1, "+20.0 points"),  # over the seeds 0.4, 0.2 and 0.0
        ("Largest loss", 7, 1, "-10.0 points"),  # in each seed, so the middle one
        ("Median", 9, 1, "+0.0 points"),
    ]
    assert [panel.title for panel in found.images[0].panels] == ["Image", "Ground truth", "base", "good"]
    assert [panel.score for panel in found.images[0].panels] == ["", "", "50.0%", "70.0%"]
    assert found.images[0].panels[0].uri == f"data:image/jpeg;base64,{base64.b64encode(b'photo').decode()}"
    assert found.rule == (
        "Chosen by figures among the 4 test images that each trial keeps: the largest gain, the largest loss and the "
        "median mIoU difference of “good” to “base”, averaged over seeds 0, 1, 2. Each is shown of the seed with the "
        "median value on that image. Void is transparent."
    )
    assert found.classes == (("road", "#804080"), ("sky", "#4682b4")), "no pixel is fence, true or predicted"


def test_only_seeds_whose_trials_all_keep_the_images_count(tmp_path):
    results, directory = swept(tmp_path, without=[("good", 1), ("base", 2)])
    found = compare_images(results, directory)
    assert {image.seed for image in found.images} == {0}
    assert "averaged over seed 0." in found.rule
    assert (found.images[0].number, found.images[0].change) == (4, "+40.0 points")


def test_without_a_baseline_the_best_row_is_shown_alone(tmp_path):
    results, directory = swept(tmp_path, baseline=None)
    found = compare_images(results, directory)
    assert [(image.title, image.number) for image in found.images] == [
        ("Best image", 4),
        ("Worst image", 7),
        ("Median", 9),
    ]
    assert found.images[0].change == "70.0%"
    assert len(found.images[0].panels) == 3


def test_trials_of_before_have_their_sheets_instead(tmp_path):
    results, directory = swept(tmp_path, without=[(row, seed) for row in SCORES for seed in SEEDS])
    assert compare_images(results, directory) is None
    found = gather_provenance(results, directory)
    assert found.compared == ()
    assert [(picture.name, picture.row) for picture in found.pictures] == [
        ("sheet", "base"),
        ("confusion", "base"),
        ("sheet", "good"),
        ("confusion", "good"),
    ]


def test_pictures_are_of_the_seed_with_the_median_difference(tmp_path):
    results, directory = swept(tmp_path)
    found = gather_provenance(results, directory)
    assert [(picture.name, picture.row, picture.seed) for picture in found.pictures] == [
        ("confusion", "base", 1),
        ("confusion", "good", 1),
    ]
    page = render_html(build_table(results), found)
    assert page.count("<img ") == 3 * 4 + 2
    assert "<h3>Largest loss <span>−10.0 points; test image 7, seed 1</span></h3>" in page
    assert '<li><i style="background:#4682b4"></i>sky</li>' in page


def test_a_damaged_file_is_as_none(tmp_path):
    results, directory = swept(tmp_path)
    for run in results.sweep.cells:
        path = directory.trial_folder(run.trial_id) / "images_001.npz"
        path.write_bytes(path.read_bytes()[:-1])
    assert compare_images(results, directory) is None


def test_images_are_read_as_they_were_kept(tmp_path):
    results, directory = swept(tmp_path)
    record = results.outcomes[results.sweep.cells[0].trial_id]
    found = read_compared_images(directory, record)
    assert sorted(found) == list(NUMBERS)
    assert found[4] == {"image": b"photo", "truth": label(0), "prediction": label(1)}
