"""Files that are replaced in one step: the old content or the new, and no partial file."""

import os
from pathlib import Path

import pytest

from orchestrator.machine.atomic_file import partial_file, replace_file


def test_a_file_is_replaced_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    for content in (b"one", b"three"):
        replace_file(path, content, durable=True)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["x.json"]  # noqa: PTH208


def test_an_error_leaves_the_old_content_and_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "x", b"old", durable=False)

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "x", b"new", durable=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_only_a_durable_write_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    replace_file(tmp_path / "x", b"1", durable=False)
    assert not flushed
    replace_file(tmp_path / "x", b"2", durable=True)
    assert len(flushed) == 2, "the file and its folder"


def test_two_writers_of_one_file_use_different_partial_files(tmp_path: Path) -> None:
    with partial_file(tmp_path / "x") as one, partial_file(tmp_path / "x") as other:
        assert one != other
        one.write_bytes(b"1")
    assert list(tmp_path.iterdir()) == []
