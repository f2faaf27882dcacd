"""Counts and pictures of a trial are one file with a digest; pictures of trials of before are still found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import DamagedError
from orchestrator.store.image_counts import (
    read_compared_images,
    read_image_counts,
    read_pictures,
    write_image_counts,
)
from orchestrator.store.record_store import RecordStore
from tests.orchestrator.store.test_parquet_cache import MakeRecord

COUNTS = np.arange(24, dtype=np.int64).reshape(4, 2, 3)
PICTURES = {"sheet.png": b"one", "confusion.png": b"two"}
COMPARED = {
    "compare_0003_image.jpg": b"i",
    "compare_0003_truth.png": b"t",
    "compare_0003_prediction.png": b"p",
    "compare_0012_truth.png": b"u",
}


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "runs" if request.param == "disk" else request.getfixturevalue("memory"))


def test_counts_and_pictures_are_one_file(store: RecordStore, make_record: MakeRecord) -> None:
    files = write_image_counts(store, "a", 1, COUNTS, ("road", "sky"), PICTURES)
    assert files == write_image_counts(store, "a", 1, COUNTS, ("road", "sky"), PICTURES)  # equal trials, equal files
    assert store.files.names("trials/a") == ["images_001.npz"]
    record = replace(make_record("a"), files=files)
    found = read_image_counts(store, record)
    assert found is not None
    assert found.classes == ("road", "sky")
    np.testing.assert_array_equal(found.count_NCK, COUNTS)
    assert read_pictures(store, record) == PICTURES
    assert list(read_pictures(store, record)) == sorted(PICTURES)


def test_each_may_be_missing(store: RecordStore, make_record: MakeRecord) -> None:
    assert write_image_counts(store, "a", 1, None, ()) == {}
    assert store.files.names("trials/a") == []
    drawn = replace(make_record("a"), files=write_image_counts(store, "a", 1, None, (), PICTURES))
    assert read_image_counts(store, drawn) is None
    assert read_pictures(store, drawn) == PICTURES
    counted = replace(make_record("b"), files=write_image_counts(store, "b", 1, COUNTS, ("road", "sky")))
    assert read_image_counts(store, counted) is not None
    assert read_pictures(store, counted) == {}


def test_pictures_of_trials_of_before_are_files(store: RecordStore, make_record: MakeRecord) -> None:
    for name, content in {**PICTURES, "notes.txt": b"mine"}.items():
        store.files.write(f"trials/a/pictures/{name}", content)
    assert read_pictures(store, make_record("a")) == PICTURES
    counted = replace(make_record("a"), files=write_image_counts(store, "a", 1, COUNTS, ("road", "sky")))
    assert read_pictures(store, counted) == PICTURES


def test_a_damaged_or_missing_file_is_named(store: RecordStore, make_record: MakeRecord) -> None:
    record = replace(make_record("a"), files=write_image_counts(store, "a", 1, COUNTS, ("road", "sky"), PICTURES))
    content = store.files.read("trials/a/images_001.npz")
    assert content is not None
    store.files.write("trials/a/images_001.npz", content[:-1])
    with pytest.raises(DamagedError, match=r"images_001.npz: damaged"):
        read_pictures(store, record)
    store.files.delete("trials/a/images_001.npz")
    with pytest.raises(DamagedError, match=r"images_001.npz: missing"):
        read_pictures(store, record)


def test_compared_images_are_no_pictures_of_the_trial(store: RecordStore, make_record: MakeRecord) -> None:
    """The pictures go to MLflow, one request each; the images only to the page."""
    files = write_image_counts(store, "a", 1, COUNTS, ("road", "sky"), PICTURES | COMPARED)
    record = replace(make_record("a"), files=files)
    assert read_pictures(store, record) == PICTURES
    assert read_compared_images(store, record) == {
        3: {"image": b"i", "truth": b"t", "prediction": b"p"},
        12: {"truth": b"u"},
    }
    assert read_compared_images(store, make_record("b")) == {}
