"""The benchmark of the decoded cache runs anywhere and writes what it promises; how fast is not tested here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_writes_its_figures(tmp_path):
    command = [sys.executable, "-m", "benchmarks.data", "--images", "2", "--repeats", "1"]
    project = Path(__file__).resolve().parents[2]
    done = subprocess.run([*command, "--json", str(tmp_path / "out.json")], cwd=project, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())
    assert all(set(row) == {"figure", "ours", "beside", "ratio", "goal", "held"} for row in rows)
    assert [row["goal"] for row in rows] == [5.0, None, None]
    assert all(row["held"] == (row["goal"] is None or row["ratio"] >= row["goal"]) for row in rows)
    assert done.returncode == (0 if all(row["held"] for row in rows) else 1)
