"""WorkloadContract: what every workload must do; a test class inherits it and provides two fixtures."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning.identity import canonical, content_id
from orchestrator.running.task import StopTrial
from orchestrator.spec.settings import leaves_of
from orchestrator.store.attempt_record import State
from orchestrator.workload.exported_model import ExportedModel
from orchestrator.workload.inputs import forget
from orchestrator.workload.loaded import LoadedWorkload
from orchestrator.workload.loading import WorkloadSource, load
from orchestrator.workload.runtime import Runtime

__all__ = ["WorkloadContract"]

RUNTIME = Runtime(device="cpu", log_every_steps=1, checkpoint_every_steps=1)
TOLERANCE = 1e-6
"""Between the figures of a trial that was interrupted and of one that was not."""

PLANNING = """
import pickle, sys
from orchestrator.workload.loading import load
source, config = pickle.loads(sys.stdin.buffer.read())
workload, config = load(source), pickle.loads(config)
workload.workload.check(config)
found = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "tensorflow", "jax", "ray", "mlflow"})
print(*found)
"""


class WorkloadContract:
    """Inherit it, and provide `workload` and `config`: `load(find("my_trainer.py", folder))`, and a small trial."""

    @pytest.fixture
    def workload(self) -> LoadedWorkload:
        raise NotImplementedError

    @pytest.fixture
    def config(self, workload: LoadedWorkload) -> Any:
        """A trial of seconds that reports at least two points before its end."""
        return workload.config_type()

    def test_every_key_accepts_its_default(self, workload: LoadedWorkload) -> None:
        for leaf in leaves_of(workload.config_type).values():
            if leaf.default is not None:
                assert leaf.check(leaf.default) == leaf.default

    def test_a_config_and_its_source_travel_to_another_process(self, workload: LoadedWorkload, config: Any) -> None:
        assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own
        source: WorkloadSource = pickle.loads(pickle.dumps(workload.source))  # noqa: S301 - our own
        assert load(source) is workload

    def test_planning_loads_no_framework(self, workload: LoadedWorkload, config: Any) -> None:
        content = pickle.dumps((workload.source, pickle.dumps(config)))
        line = [sys.executable, "-c", PLANNING]
        found = subprocess.run(line, input=content, capture_output=True, timeout=120)  # noqa: S603 - this interpreter
        assert found.returncode == 0, found.stderr.decode()
        assert found.stdout.decode().strip() == ""

    def test_the_id_of_a_trial_depends_on_its_config_and_inputs(self, workload: LoadedWorkload, config: Any) -> None:
        digest = workload.workload.inputs(config, forget).digest
        assert workload.workload.inputs(config, forget).digest == digest
        name = content_id(canonical(config), digest, workload)
        assert content_id(canonical(replace(config)), digest, workload) == name
        assert content_id(canonical(replace(config, seed=config.seed + 1)), digest, workload) != name
        assert content_id(canonical(config), digest + "0", workload) != name

    def test_the_caption_is_one_line_without_full_stop(self, workload: LoadedWorkload, config: Any) -> None:
        inputs = workload.workload.inputs(config, forget)
        text = workload.workload.describe([(config, inputs), (replace(config, seed=1), inputs)], "seeds 0-1")
        assert text == " ".join(text.split())
        assert text
        assert not text.endswith(".")
        assert "seeds 0-1" in text

    def test_metrics_have_names_of_their_own_and_the_first_is_a_result(self, workload: LoadedWorkload) -> None:
        names = [metric.name for metric in workload.metrics]
        assert len(set(names)) == len(names)
        assert workload.main_metric.name.startswith("final/")
        assert workload.main_metric.direction in ("up", "down")

    def test_it_trains_and_resumes_to_the_same_figures(
        self, workload: LoadedWorkload, config: Any, tmp_path: Path
    ) -> None:
        points: list[tuple[int, dict[str, float]]] = []
        whole = train(workload, config, tmp_path / "whole", lambda *point: points.append(point))
        steps = [step for step, _ in points]
        assert steps == sorted(steps)
        assert len(set(steps)) >= 2
        assert workload.main_metric.name in whole
        for name in (*whole, *(name for _, values in points for name in values)):
            assert name.startswith(("train/", "system/")) or any(metric.covers(name) for metric in workload.metrics)

        def stop(step: int, values: dict[str, float]) -> None:
            del values
            if step >= steps[len(steps) // 2]:
                raise StopTrial(State.STOPPED)

        with pytest.raises(StopTrial):  # which must pass
            train(workload, config, tmp_path / "parts", stop)
        resumed = train(workload, config, tmp_path / "parts", lambda *_: None)
        for name, value in whole.items():
            if not name.startswith("cost/"):
                assert resumed[name] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE, nan_ok=True)
        if workload.extras.export is not None:
            require_export(workload.extras.export, tmp_path / "whole")
            with pytest.raises(ValueError, match=r"^[^\n]+$"):
                workload.extras.export(tmp_path / "empty", "last")


def require_export(export: Callable[[Path, str], ExportedModel], folder: Path) -> None:
    """The models of the trained trial in `folder` predict for batches of any size, each item by itself."""
    import torch

    for kind in ("best", "last"):
        model = export(folder, kind)
        assert len(model.example) >= 2
        with torch.inference_mode():
            whole, first = (model.network(torch.from_numpy(batch)) for batch in (model.example, model.example[:1]))
        assert len(whole) == len(model.example)
        torch.testing.assert_close(whole[:1], first, rtol=1e-3, atol=1e-3)
        assert all(version(name) for name in model.requirements)


def train(workload: LoadedWorkload, config: Any, folder: Path, progress: Any) -> dict[str, float]:
    """The final metrics of a trial in `folder`."""
    folder.mkdir(exist_ok=True)
    return dict(workload.workload.train(config, RUNTIME, folder, progress).metrics)
