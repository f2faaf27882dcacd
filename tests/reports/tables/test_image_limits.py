"""How far other test images would move the differences: from files beside the records to a line below the table."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.store.image_counts import image_counts_name, read_image_counts, write_image_counts
from orchestrator.store.keys import trial_key
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from reports.stats.image_bootstrap import class_iou, mean_iou, pixel_accuracy
from reports.write import make_table
from tests.reports.conftest import make_outcomes, make_sweep

CLASSES = ("road", "sky", "tree")
SEEDS = (0, 1, 2, 3, 4)
ROWS = {"base": {}, "better": {"x": 1}, "alike": {"x": 2}}
SKILL = {"base": 0.70, "better": 0.74, "alike": 0.70}
COLUMNS = ("final/miou", "final/pixel_accuracy", "final/iou/sky", "cost/train_minutes")


def counts_of(row, seed, images):
    """Of one trial; what is hard in an image is hard for every trial."""
    images_N1 = np.random.default_rng(5).uniform(0.6, 1.2, (images, 1))
    noise = np.random.default_rng([seed, len(row)])
    share_NC = np.clip(images_N1 * (SKILL[row] + noise.normal(0, 0.002)) + noise.normal(0, 0.02, (images, 3)), 0, 1)
    labelled_NC = np.full((images, 3), 1000)
    return np.stack([labelled_NC * share_NC, labelled_NC, labelled_NC], axis=-1).round().astype(np.int64)


@pytest.fixture
def swept(tmp_path):
    """A run directory with counts for each trial, and the results that are read from it."""

    def make(images=40, without=()):
        sweep = make_sweep(ROWS, seeds=SEEDS, columns=COLUMNS)
        store = RecordStore(tmp_path / "runs")
        store.write_sweep(sweep)
        counts = {(row, seed): counts_of(row, seed, images) for row in ROWS for seed in SEEDS}
        metrics = {
            row: [
                {
                    "final/miou": float(mean_iou(total)),
                    "final/pixel_accuracy": float(pixel_accuracy(total)),
                    "final/iou/sky": float(class_iou(total)[1]),
                    "cost/train_minutes": 1.0,
                }
                for total in (counts[row, seed].sum(axis=0) for seed in SEEDS)
            ]
            for row in ROWS
        }
        outcomes = make_outcomes(metrics, seeds=SEEDS)
        for run in sweep.cells:
            files = {}
            if run.row not in without:
                files = write_image_counts(store, run.trial_id, 1, counts[run.row, run.seed], CLASSES)
            store.end(replace(outcomes[run.trial_id], files=files))
        return RunDirectory(tmp_path / "runs")

    return make


def lines(directory):
    results = directory.results("ablation_memory")
    return [
        note.text
        for note in make_table(results, {}, directory).notes
        if "test image" in note.text or "such standard" in note.text
    ]


def test_the_line_says_how_far_other_images_would_move_each_column(swept):
    directory = swept()
    (line,) = lines(directory)
    start = "Other test images would also move the differences: standard error over the 40 test images mIoU "
    assert line.startswith(start)
    assert "Pixel acc. " in line
    assert "IoU sky " in line
    assert "Train" not in line
    results = directory.results("ablation_memory")
    assert not [n for n in make_table(results, {}).notes if "test images" in n.text], "without the run directory"


def test_a_difference_that_other_images_could_undo_is_named(swept, monkeypatch):
    directory = swept(images=12)
    monkeypatch.setattr("reports.tables.image_limits.NORMAL", 40.0)
    (weak,) = [line for line in lines(directory) if "such standard errors" in line]
    assert weak.startswith("Significant over seeds, but less than 40.0 such standard errors: ")
    assert weak.endswith(": better (mIoU), better (Pixel acc.), better (IoU sky).")


def test_records_without_counts_have_no_line(swept):
    assert lines(swept(without=("base", "better", "alike"))) == []
    assert lines(swept(images=9)) == [], "too few images"


def test_rows_without_counts_are_left_out(swept):
    (line,) = lines(swept(without=("better",)))
    assert " to " not in line, "one row: no span"


def test_a_damaged_file_is_named_and_never_used(swept):
    directory = swept()
    trial = directory.results("ablation_memory").sweep.cells[0].trial_id
    path = directory.trial_folder(trial) / image_counts_name(1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert any(f"{image_counts_name(1)}: damaged" in line and "base, seed 0" in line for line in lines(directory))
    path.unlink()
    assert any(f"{image_counts_name(1)}: missing" in line for line in lines(directory))


def test_counts_that_do_not_give_the_recorded_figure_are_not_used(swept):
    directory = swept()
    record = next(iter(directory.results("ablation_memory").outcomes.values()))
    store = RecordStore(directory.location)
    files = write_image_counts(store, record.trial_id, 1, counts_of("base", 77, 40), CLASSES)
    store.end(replace(record, files=files))
    assert any("do not give its final/miou" in line for line in lines(directory))


def test_what_is_read_is_what_was_written(tmp_path):
    store = RecordStore(tmp_path)
    count_NCK = counts_of("base", 0, 20)
    files = write_image_counts(store, "abc", 2, count_NCK, CLASSES)
    (record,) = make_outcomes({"base": [{}]}, seeds=(0,)).values()
    found = read_image_counts(store, replace(record, trial_id="abc", attempt=2, files=files))
    assert (found.count_NCK == count_NCK).all()
    assert found.classes == CLASSES
    content = (tmp_path / trial_key("abc", "images_002.npz")).read_bytes()
    assert files == {"images_002.npz": hashlib.sha256(content).hexdigest()}
    assert read_image_counts(store, replace(record, trial_id="abc", attempt=2)) is None
