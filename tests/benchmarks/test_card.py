"""`benchmarks/card.sh`: each part runs, is limited in time and leaves its result."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks/card.sh"


def run(out, **settings):
    environment = {**os.environ, "PYTHON": sys.executable, "BENCH_OUT": str(out), "BENCH_DATA": ".", **settings}
    return subprocess.run(["bash", SCRIPT, "--tiny"], env=environment, capture_output=True, text=True)


def test_only_the_chosen_part_runs_and_leaves_its_figures(tmp_path):
    done = run(tmp_path, BENCH_PARTS="steps")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"steps.log", "train_step.json"}
    assert json.loads((tmp_path / "train_step.json").read_text())["figures"]


def test_a_part_that_takes_too_long_is_ended_and_counts_as_failed(tmp_path):
    done = run(tmp_path, BENCH_PARTS="sweep", BENCH_LIMIT="0.5")
    assert done.returncode == 1
    assert "== sweep: exit code 124" in done.stdout
