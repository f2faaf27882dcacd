"""The benchmark of the mirror runs anywhere and writes what it promises; how fast is not tested here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow  # four databases of MLflow
def test_writes_its_figures(tmp_path):
    short = ["--seconds", "2", "--trials", "2", "--burst-seconds", "2", "--json", str(tmp_path / "out.json")]
    command = [sys.executable, "-m", "benchmarks.tracking", *short]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    rows = {row["figure"]: row for row in json.loads((tmp_path / "out.json").read_text())}
    assert all(set(row) == {"figure", "ours", "beside", "ratio", "goal", "held"} for row in rows.values())
    assert rows["points lost by 8 trials at 5 reports/s"]["ours"] == 0
    assert rows["log_batch calls per report"]["held"]
