"""The commands of docs/own_trainer.md, as the page gives them; and the table that it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "own_trainer.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cd (\S+)\npython -m (.+)$", PAGE, re.MULTILINE)
ROW = re.compile(r"^\| .* \|$", re.MULTILINE)


def test_the_page_has_a_command_for_each_example() -> None:
    assert [folder for folder, _ in COMMANDS] == ["examples/own_script", "examples/own_trainer"]


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "command"), COMMANDS)
def test_the_command_trains_and_makes_its_table(folder: str, command: str, tmp_path: Path) -> None:
    shutil.copytree(PROJECT / folder, tmp_path / "example")
    few = ["--seeds", "1"] if folder.endswith("script") else []  # the table of the page is that of the other one
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line, folder = [sys.executable, "-m", *arguments], tmp_path / "example"
        return subprocess.run(
            line, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    done = run(*command.split(), *few)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = run("orchestrator", "verify")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 damaged" in checked.stdout
    again = run(*command.split(), *few, "--dry-run")
    assert "0 to run" in again.stdout, again.stdout
    (table,) = (tmp_path / "example").glob("reports/out/*/table.md")
    found = ROW.findall(table.read_text(encoding="utf-8"))
    assert "mIoU" not in table.read_text(encoding="utf-8")
    assert len(found) == 7
    if not few:
        start = PAGE.index("It makes this table")
        assert found == ROW.findall(PAGE[start : PAGE.index("Files and packages beside")])
