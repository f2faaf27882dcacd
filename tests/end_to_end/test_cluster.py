"""Two nodes run four trials and one node is killed in mid-run: the table equals that of the undisturbed sweep."""

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import api
from tests.end_to_end import mishaps
from tests.end_to_end.conftest import PROJECT, TINY_RECIPE, attempts, environment

SPACE = f"""
name: cluster
question: What does a lost node cost?
recipe: ./recipe.yaml
method: ablation
metric: {{name: final/miou, goal: maximize}}
seeds: 2
baseline: w/o contrast
fixed:
  data.crop: [32, 32]
  data.synthetic: {{train_images: 8, val_images: 1, test_images: 1, height: 32, width: 32}}
  schedule: {{steps: 80, eval_every_steps: 80}}
rows:
  w/o contrast:          {{contrast.source: none}}
  pixel + region memory: {{contrast.memory.kind: pixel_region, contrast.temperature: {mishaps.HELD}}}
retries: {{back_off_seconds: 0.5}}
table: {{columns: [final/miou, final/pixel_accuracy]}}
"""

ON_NODES = SPACE + "resources: {cpus: 1, gpus: 1}\n"


def start(folder: Path, **more: str) -> subprocess.Popen[bytes]:
    """`lose_a_node.py` in `folder`, with this project's code, writing to output.txt there."""
    line = [sys.executable, str(Path(__file__).with_name("lose_a_node.py")), "cluster.yaml"]
    with (folder / "output.txt").open("wb") as output:
        values = environment() | {"PYTHONPATH": str(PROJECT)} | more
        return subprocess.Popen(line, cwd=folder, env=values, stdout=output, stderr=output)


def prepare(folder: Path, space: str) -> Path:
    """The folder with the search space and its recipe."""
    folder.mkdir()
    (folder / "recipe.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    (folder / "cluster.yaml").write_text(space, encoding="utf-8")
    return folder


def final(history: list[dict[str, Any]]) -> dict[str, float]:
    """The reported figures of a trial's last attempt."""
    metrics: dict[str, float] = history[-1]["metrics"]
    return {key: value for key, value in metrics.items() if key.startswith("final/")}


def steps(folder: Path, trial_id: str, attempt: int) -> list[int]:
    """The steps an attempt reported, after the mark of its start."""
    lines = (folder / "runs" / "trials" / trial_id / "points.jsonl").read_text(encoding="utf-8").splitlines()
    points = [json.loads(line) for line in lines]
    return [point["step"] for point in points if point["attempt"] == attempt and point["metrics"]]


@pytest.mark.slow  # four trials, twice
@pytest.mark.usefixtures("without_figures", "without_mlflow")
def test_a_node_lost_in_mid_run_costs_no_finished_trial_and_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, stormy = prepare(tmp_path / "calm", SPACE), prepare(tmp_path / "stormy", ON_NODES)
    cluster = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    cluster["RAY_health_check_period_ms"] = "500"  # a dead node is noticed after five checks, by default of 3 s
    held = mishaps.install(stormy / "hook")
    (stormy / "hook" / "80").touch()  # until the node is killed, trials with a memory wait at step 60
    monkeypatch.chdir(calm)
    with start(stormy, **cluster, **held) as sweep:
        try:
            assert api.sweep("cluster.yaml", options=api.RunOptions(executor="serial")).completed
            assert sweep.wait(timeout=400) == 0, (stormy / "output.txt").read_text()
        finally:
            sweep.kill()

    summary = json.loads((stormy / "summary.json").read_text(encoding="utf-8"))
    killed = summary["killed"]
    assert killed
    assert summary["completed"]
    assert summary["gpus_left"] == 1, "what the dead node had is no room any more"

    found, wanted = attempts(stormy), attempts(calm)
    assert len(found) == 4
    assert {trial_id: final(history) for trial_id, history in found.items()} == {
        trial_id: final(history) for trial_id, history in wanted.items()
    }
    assert all(len(final(history)) > 2 for history in found.values())
    for style in ("md", "tex", "csv"):
        tables = [(folder / "reports" / "out" / "cluster" / f"table.{style}").read_text() for folder in (stormy, calm)]
        assert tables[0] == tables[1]

    lost = {trial_id: history for trial_id, history in found.items() if len(history) > 1}
    assert len(lost) == 1, "one node, one GPU: one trial"
    assert set(lost) < set(killed["steps"])
    for trial_id, history in found.items():
        assert [record["state"] for record in history] == (["lost", "done"] if trial_id in lost else ["done"])
        assert trial_id not in killed["done"] or history[0]["ended_at"] < killed["at"]
    for trial_id, history in lost.items():
        assert history[0]["environment"]["node"] == killed["node"]
        reached, again = steps(stormy, trial_id, 1)[-1], steps(stormy, trial_id, 2)
        assert reached >= mishaps.HELD_STEP  # its process may take a few steps more until it notices the loss
        assert again[0] > reached - 4, "the second attempt began at the beginning"
        assert again[-1] == 80
