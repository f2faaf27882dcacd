"""`python -m trainer.plugins check` runs the suite of each entry and says what fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/own_method/my_sampler.py"

METRICS = """
import torch
from trainer.plugins import MetricEntry

def right(label, prediction, classes):
    labelled = label != 255
    return torch.stack([((label == prediction) & labelled).sum(), labelled.sum()]).double()

def wrong(label, prediction, classes):
    return torch.stack([(label == prediction).sum(), (label >= 0).sum()]).double()

METRICS = {"right": MetricEntry(code=right), "wrong": MetricEntry(code=wrong)}
"""


def check(path: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "trainer.plugins", "check", str(path)]
    return subprocess.run(line, capture_output=True, text=True)


def test_the_example_conforms_and_what_does_not_is_named(tmp_path: Path) -> None:
    """In one plugin. `tests/end_to_end/test_own_method.py` checks the example alone, with exit code 0."""
    (tmp_path / "both.py").write_text(EXAMPLE.read_text(encoding="utf-8") + METRICS, encoding="utf-8")
    done = check(tmp_path / "both.py")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert {*lines[:-2]} == {
        "ANCHOR_SAMPLERS['boundary'] (contrast.anchors.kind: boundary): 11 tests pass",
        "METRICS['right'] (evaluation.metrics: right): 3 tests pass",
    }
    assert lines[-2] == "METRICS['wrong'] (evaluation.metrics: wrong): 1 of 3 tests fail"
    assert lines[-1].startswith("  test_an_image_without_a_labelled_pixel_adds_nothing[wrong]: ")


def test_a_plugin_that_cannot_be_loaded() -> None:
    done = check(Path("absent.py"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no such file ")
