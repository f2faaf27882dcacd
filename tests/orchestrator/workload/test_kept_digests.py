"""Kept digests equal those that are computed, whatever is in the file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from orchestrator.workload import kept_digests, source_digest
from orchestrator.workload.kept_digests import digests_of, folder_of_digests

TEXTS = {"a.py": "x = 1  # one\n", "b.py": "def f():\n    return 2\n", "draft.py": "def f(:\n"}
WANTED = {name: source_digest.source_digest(text) for name, text in TEXTS.items()}


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of kept digests, in a folder for this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return folder_of_digests() / kept_digests.FILE


def computed(texts: dict[str, str]) -> tuple[dict[str, str], int]:
    """What `digests_of` returns, and how many digests it computes for it."""
    with mock.patch.object(source_digest, "source_digest", side_effect=source_digest.source_digest) as compute:
        return digests_of(texts), compute.call_count


def test_equal_texts_are_reduced_once() -> None:
    assert computed(TEXTS) == (WANTED, 3)
    assert computed(TEXTS) == (WANTED, 0)
    assert computed({"other name.py": TEXTS["a.py"]}) == ({"other name.py": WANTED["a.py"]}, 0)
    found, count = computed({**TEXTS, "a.py": "x = 2\n"})
    assert count == 1
    assert found == {**WANTED, "a.py": source_digest.source_digest("x = 2\n")}
    assert found["a.py"] != WANTED["a.py"]
    assert computed(TEXTS) == (WANTED, 0), "what another version of a file was is kept too"


def test_other_code_or_another_python_uses_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    digests_of(TEXTS)
    monkeypatch.setattr(kept_digests, "maker", lambda: "another")
    assert computed(TEXTS) == (WANTED, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"sha256": 1, "digests": {}}',
        b'{"sha256": "00", "digests": "{}"}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_made_anew(own_temporary_files: Path, content: bytes) -> None:
    digests_of(TEXTS)
    own_temporary_files.write_bytes(content)
    assert computed(TEXTS) == (WANTED, 3)
    assert computed(TEXTS) == (WANTED, 0)


def test_a_changed_digest_is_noticed(own_temporary_files: Path) -> None:
    digests_of(TEXTS)
    content = json.loads(own_temporary_files.read_text())
    content["digests"] = content["digests"].replace(WANTED["a.py"], "0" * 12)
    own_temporary_files.write_text(json.dumps(content))
    assert computed(TEXTS) == (WANTED, 3)


def test_a_link_is_not_followed(own_temporary_files: Path, tmp_path: Path) -> None:
    digests_of(TEXTS)
    other = tmp_path / "other"
    own_temporary_files.rename(other)
    before = other.read_bytes()
    own_temporary_files.symlink_to(other)
    assert computed(TEXTS) == (WANTED, 3)
    assert other.read_bytes() == before


def test_nothing_is_kept_in_a_foreign_folder(own_temporary_files: Path) -> None:
    foreign = own_temporary_files.parent
    foreign.mkdir()
    (foreign / "theirs").write_text("x")
    assert computed(TEXTS) == (WANTED, 3)
    assert computed(TEXTS) == (WANTED, 3)
    assert os.listdir(foreign) == ["theirs"]  # noqa: PTH208


def test_the_file_does_not_grow_without_end(own_temporary_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_digests, "MOST", 4)
    for number in range(9):
        digests_of({"a.py": f"x = {number}\n"})
    digests_of({"b.py": "y = 0\n", "a.py": "x = 8\n"})
    assert len(json.loads(json.loads(own_temporary_files.read_text())["digests"])) == 4
    assert computed({"a.py": "x = 7\n", "b.py": "y = 0\n"})[1] == 0
