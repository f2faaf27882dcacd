"""`benchmarks/card.sh`: each part runs, is limited in time and leaves its result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.quick_figures import require_quick_figures

SCRIPT = Path(__file__).parents[2] / "benchmarks/card.sh"
PARTS = ["tests", "steps", "contrast", "loader", "sweep", "mlflow", "packing", "start"]

RECORDING = """#!/bin/sh
echo "$PYTHONPATH | $PWD | $*" >> "$CALLS"
case "$*" in *train_step*) sleep 30 ;; esac
"""
"""Stands for the interpreter: writes down its arguments, and takes too long for one part."""


def run(out, *options, **settings):
    environment = {**os.environ, "PYTHON": sys.executable, "BENCH_OUT": str(out), **settings}
    return subprocess.run(["bash", SCRIPT, *options], env=environment, capture_output=True, text=True)


def parts(out):
    return [json.loads(line) for line in (out / "parts.jsonl").read_text().splitlines()]


@pytest.mark.slow  # measures steps
def test_only_the_chosen_part_runs_and_leaves_its_figures(tmp_path):
    done = run(tmp_path, "--tiny", BENCH_PARTS="steps")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"steps.log", "train_step.json", "parts.jsonl"}
    require_quick_figures(tmp_path / "train_step.json", (tmp_path / "steps.log").read_text())
    assert [(part["part"], part["exit_code"]) for part in parts(tmp_path)] == [("steps", 0)]


@pytest.fixture
def recording(tmp_path):
    """An interpreter that only writes down how it was called."""
    program = tmp_path / "python"
    program.write_text(RECORDING)
    program.chmod(0o755)
    return {"PYTHON": str(program), "CALLS": str(tmp_path / "calls"), "BENCH_DATA": str(tmp_path)}


def test_every_part_runs_in_order_and_one_that_takes_too_long_costs_only_itself(tmp_path, recording):
    out = tmp_path / "out"
    done = run(out, **recording, PYTHONPATH="/packed/site", BENCH_TOTAL="7", BENCH_SEEDS="3")
    assert done.returncode == 1
    assert [part["part"] for part in parts(out)] == ["tests", "steps"]
    assert [part["exit_code"] for part in parts(out)] == [0, 124]
    assert "== contrast: no time is left for it" in done.stdout

    Path(recording["CALLS"]).unlink()
    done = run(out, **recording, PYTHONPATH="/packed/site", BENCH_PARTS=" ".join({*PARTS} - {"steps"}))
    assert done.returncode == 0, done.stdout
    calls = [line.split(" | ") for line in Path(recording["CALLS"]).read_text().splitlines()]
    project = str(SCRIPT.parents[1])
    assert {path for path, _, _ in calls} == {f"{project}:/packed/site"}, "what the interpreter lacks stays on its path"
    words = " / ".join(command for _, _, command in calls)
    order = ["pytest -v -m gpu", "contrast_step", "data --gpu-feed", "orchestrator.sweep", "cold_start", "packing"]
    places = [words.index(name) for name in order]
    assert places == sorted(places)
    assert words.count("--device cuda") == 4
    (folder,) = [folder for _, folder, command in calls if "orchestrator.sweep" in command]
    assert folder != project, "MLflow's database and the plan do not land in the project"
    assert f"data.root={tmp_path}" in words
    assert not (Path(folder)).exists()
