"""Each benchmark runs at its quick size and writes what it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["contrast_step", "train_step"])
def test_quick_run_writes_its_figures(name, tmp_path):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", str(tmp_path / "out.json")]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    lines = written["figures"]
    assert lines
    assert written["machine"]["cores"] == os.cpu_count()
    for line in lines:
        assert set(line) >= {"figure", "ours", "beside", "ratio", "goal", "held"}
        assert line["ours"] >= 0
        assert line["figure"] in finished.stdout
