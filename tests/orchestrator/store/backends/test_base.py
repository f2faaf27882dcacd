"""Addresses of run directories, and where the trials of an object store work."""

import os
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.machine.own_folder import mark_of
from orchestrator.store.backends import LocalFiles, local_folder, location, open_files
from orchestrator.store.backends.base import SCRATCH_FOLDER


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("runs", "runs"),
        (Path("/data/runs"), "/data/runs"),
        ("s3://bucket/runs", "s3://bucket/runs"),
        (Path("s3://bucket/runs"), "s3://bucket/runs"),
        (Path("gs://bucket"), "gs://bucket"),
        ("file:///data/runs", "/data/runs"),
        ("c:/runs", "c:/runs"),
        ("a/s3:/b", "a/s3:/b"),
    ],
)
def test_a_run_directory_is_a_path_or_a_url_even_through_path(given: Path | str, understood: str) -> None:
    assert location(given) == understood


def test_a_path_opens_local_files() -> None:
    assert isinstance(open_files(Path("runs")), LocalFiles)


def test_trials_work_in_the_run_directory_or_in_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SCRATCH_FOLDER, str(tmp_path))
    assert local_folder("runs") == Path("runs")
    folder = local_folder("s3://bucket/runs")
    assert folder.parent == tmp_path / f"contrast-sweep-scratch-{os.geteuid()}"
    assert mark_of(folder.parent) is not None
    assert folder == local_folder(Path("s3://bucket/runs/"))
    assert folder != local_folder("s3://bucket/other")


def test_an_unknown_kind_of_storage_is_one_line() -> None:
    with pytest.raises(StoreError, match=r"^nowhere://x/runs: unknown kind of storage nowhere://"):
        open_files("nowhere://x/runs")
