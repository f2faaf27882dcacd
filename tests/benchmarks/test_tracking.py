"""The benchmark of the mirror runs on any machine and writes its figures; speed is not tested here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.process import environment


@pytest.mark.slow  # trials that sleep for six seconds
def test_writes_its_figures(tmp_path):
    command = [sys.executable, "-m", "benchmarks.tracking", "--quick", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = {row["figure"]: row for row in json.loads((tmp_path / "out.json").read_text())["figures"]}
    assert all(set(row) >= {"figure", "ours", "beside", "ratio", "goal", "held"} for row in rows.values())
    assert all(row["held"] is None and row["figure"] in done.stdout for row in rows.values())
    assert rows["differences of MLflow, 8 trials at 5 reports/s"]["ours"] == 0
    assert rows["log_batch calls, beside reports"]["beside"] == 2 * 20
    assert rows["log_batch calls, beside reports"]["ratio"] <= 1
