"""The commands of docs/own_trainer.md, as the page gives them; and the table that it shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import PROJECT, Command

PAGE = (PROJECT / "docs" / "own_trainer.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cd (\S+)\npython -m (.+)$", PAGE, re.MULTILINE)
ROW = re.compile(r"^\| .* \|$", re.MULTILINE)


def test_the_page_has_a_command_for_each_example() -> None:
    assert [example for example, _ in COMMANDS] == ["examples/own_script", "examples/own_trainer"]


@pytest.mark.slow
@pytest.mark.usefixtures("without_figures", "without_mlflow")
@pytest.mark.parametrize(("example", "line"), COMMANDS)
def test_the_command_trains_and_makes_its_table(
    example: str, line: str, command_here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PROJECT / example, tmp_path / "example")
    monkeypatch.chdir(tmp_path / "example")
    few = ["--seeds", "1"] if example.endswith("script") else []  # the table of the page is that of the other one
    done = command_here(*line.split(), *few)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = command_here("orchestrator", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 damaged" in checked.stdout
    again = command_here(*line.split(), *few, "--dry-run")
    assert "0 to run" in again.stdout, again.stdout
    (table,) = (tmp_path / "example").glob("reports/out/*/table.md")
    found = ROW.findall(table.read_text(encoding="utf-8"))
    assert "mIoU" not in table.read_text(encoding="utf-8")
    assert len(found) == 7
    if not few:
        start = PAGE.index("It makes this table")
        assert found == ROW.findall(PAGE[start : PAGE.index("Files and packages beside")])
