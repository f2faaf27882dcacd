"""A sweep that was really trained is exported, imported elsewhere, tabulated and extended, as the page says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Command, attempts

pytestmark = pytest.mark.slow


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("without_mlflow")
def test_published_results_are_verified_rebuilt_and_extended(
    folder: Path, command_here: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = command_here("orchestrator.sweep", "tiny.yaml", "--executor", "serial", "--out", "here")
    assert here.returncode == 0, here.stderr
    assert command_here("orchestrator", "export", "tiny.yaml", "tiny.zip", "--weights").returncode == 0
    trained = attempts(folder)

    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("tiny.zip", "tiny.yaml", "tiny_recipe.yaml"):
        shutil.copy(folder / name, elsewhere)
    monkeypatch.chdir(elsewhere)
    report = command_here("reports", "tiny.zip", "--out", "there")
    assert report.returncode == 0, report.stderr
    assert content_of(elsewhere / "there") == content_of(folder / "here"), "with figures and pictures"

    imported = command_here("orchestrator", "import", "tiny.zip")
    assert imported.returncode == 0, imported.stderr
    assert attempts(elsewhere) == trained
    assert command_here("orchestrator", "export", "tiny.yaml", "again.zip", "--weights").returncode == 0
    assert (elsewhere / "again.zip").read_bytes() == (folder / "tiny.zip").read_bytes()
    assert command_here("orchestrator", "verify", "--deep").returncode == 0

    space = elsewhere / "tiny.yaml"
    space.write_text(space.read_text().replace("seeds: 2", "seeds: 3"))
    assert " 2 to run: 2 new seeds" in command_here("orchestrator", "why", "tiny.yaml").stdout
    extended = command_here("orchestrator.sweep", "tiny.yaml", "--executor", "serial", "--out", "more")
    assert extended.returncode == 0, extended.stderr
    later = attempts(elsewhere)
    assert {key: later[key] for key in trained} == trained
    assert len(later.keys() - trained.keys()) == 2, "one trial of each row, with the new seed"
    assert "6 of 6 records verified" in extended.stdout

    whole = bytearray((elsewhere / "tiny.zip").read_bytes())
    place = whole.index(b'"final/miou": 0.') + len(b'"final/miou": 0.')
    whole[place] = ord("9") if whole[place] != ord("9") else ord("8")
    (elsewhere / "tampered.zip").write_bytes(whole)
    for words in (("reports", "tampered.zip"), ("orchestrator", "import", "tampered.zip")):
        refused = command_here(*words)
        assert refused.returncode == 2
        assert refused.stderr.startswith("tampered.zip: trials/")
        assert refused.stderr.endswith(
            "attempt_001.json: its content does not match its digest; get the file again from where it was published\n"
        )
