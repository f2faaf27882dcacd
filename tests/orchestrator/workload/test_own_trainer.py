"""A trainer of the user's own through whole sweeps in this process: ids, reuse, table, and what its changes mean."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import mlflow
import pytest
import torch
from mlflow import MlflowClient

from orchestrator import api
from orchestrator.__main__ import main
from orchestrator.api import RunOptions
from orchestrator.commands.verify import verify
from orchestrator.commands.why import describe_reasons
from orchestrator.doctor.checks import CHECKS, checks_for
from orchestrator.doctor.examine import finding_of
from orchestrator.doctor.experiment import workload_of_space
from orchestrator.doctor.finding import Question
from orchestrator.errors import SpecError, StoreError
from orchestrator.machine.text_table import plain
from orchestrator.planning.stale import StaleCodeError
from orchestrator.running.executors import DEVICE_FILES
from orchestrator.running.task import Task
from orchestrator.spec.workload_in_use import reading_for
from orchestrator.store.run_directory import RunDirectory
from orchestrator.tracking.mlflow_models import exported_model
from orchestrator.tracking.mlflow_store import EXPERIMENT
from orchestrator.workload.loading import WorkloadError, WorkloadSource, built_in, load, source_of
from orchestrator.workload.runtime import Runtime
from tests.orchestrator.conftest import log_and_draw_nothing

TRAINER = '''
from dataclasses import dataclass

from orchestrator.workload import Inputs, Metric, TrialResult, same_or_varied


@dataclass(frozen=True, kw_only=True)
class Config:
    """A parabola."""

    rate: float = 0.1
    """Step size."""
    steps: int = 3
    seed: int = 0

    def __post_init__(self):
        if self.rate <= 0:
            raise ValueError("rate: must be positive")


class Parabola:
    config_type = Config
    result_version = 1
    metrics = (
        Metric(name="final/error", title="Error", direction="down", decimals=3, ranked=True),
        Metric(name="val/error", title="Val error", direction="down", decimals=3, ranked=True),
    )

    def check(self, config):
        if config.rate > 1:
            raise ValueError("rate: diverges; write at most 1")

    def inputs(self, config, remember):
        return Inputs(digest=remember("parabola", lambda: "abc123"))

    def describe(self, rows, seeds, data=""):
        return f"A parabola, {same_or_varied((f'rate {config.rate}' for config, _ in rows), 'rate')}, {seeds}"

    def train(self, config, runtime, workdir, progress):
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "last.pt").write_text("a checkpoint of its own kind")
        place = 1.0 + config.seed
        for step in range(1, config.steps + 1):
            place -= 2 * config.rate * place
            progress(step, {"val/error": place**2})
        return TrialResult(metrics={"final/error": place**2})


WORKLOAD = Parabola()
'''
SPACE = """\
method: ablation
workload: parabola.py
seeds: 2
baseline: slow
rows:
  slow: {rate: 0.05}
  fast: {rate: 0.4}
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunOptions:
    """A folder with the trainer and its search space; nothing goes to MLflow, and no figure is drawn."""
    monkeypatch.chdir(tmp_path)
    Path("parabola.py").write_text(TRAINER, encoding="utf-8")
    Path("s.yaml").write_text(SPACE, encoding="utf-8")
    log_and_draw_nothing(monkeypatch)
    return RunOptions(run_dir="runs", out=tmp_path / "out", executor="serial")


def test_a_sweep_trains_reuses_and_shows_what_the_trainer_reports(options: RunOptions) -> None:
    first = api.sweep("s.yaml", options=options)
    assert first.completed
    table = first.files["markdown"].read_text(encoding="utf-8")
    assert "A parabola, varied rate, seeds 0–1" in table
    assert "Error ↓" in table
    assert "mIoU" not in table
    assert "**0." in table  # the smaller error is bold
    assert first.plan.record.workload == "parabola.py"
    assert [item.name for item in RunDirectory("runs").sweep("s").declared_metrics] == ["final/error", "val/error"]

    again = api.sweep("s.yaml", options=options, seeds=3)
    new = {trial_id for trial_id, record in again.outcomes.items() if trial_id not in first.outcomes}
    assert (len(again.outcomes), len(new)) == (6, 2)
    with reading_for(again.plan.workload):
        reasons = plain(describe_reasons(again.plan, RunDirectory("runs")))
    assert reasons[0] == "s+seeds=3: 6 trials: 6 reused, 0 to run"


def test_edited_code_is_stale_and_another_version_is_another_trial(options: RunOptions) -> None:
    first = api.sweep("s.yaml", options=options)
    Path("parabola.py").write_text(TRAINER + "# a comment\n", encoding="utf-8")
    assert api.sweep("s.yaml", options=options).outcomes == first.outcomes
    Path("parabola.py").write_text(TRAINER.replace("2 * config", "3 * config"), encoding="utf-8")
    with pytest.raises(StaleCodeError, match=r"parabola\.py"):
        api.sweep("s.yaml", options=options)
    Path("parabola.py").write_text(TRAINER.replace("result_version = 1", "result_version = 2"), encoding="utf-8")
    assert api.sweep("s.yaml", options=options).outcomes.keys().isdisjoint(first.outcomes)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rate=-1", r"--set rate=-1: rate: must be positive; got -1\.0"),
        ("rate=2", r"--set rate=2: rate: diverges; write at most 1"),
        ("rates=2", r"--set rates=2: rates: unknown key; did you mean 'rate'\?"),
        ("steps=x", r"--set steps=x: steps: must be a whole number, not 'x'; write for example 3"),
        ("optim.lr=1", r"--set optim.lr=1: optim.lr: unknown key; choose rate, steps"),
    ],
)
def test_its_keys_and_refusals_are_messages_with_their_place(options: RunOptions, setting: str, message: str) -> None:
    Path("s.yaml").write_text("method: ablation\nworkload: parabola.py\nrows: {a: {}}\n", encoding="utf-8")
    with pytest.raises(SpecError, match=message):
        api.plan("s.yaml", settings=[setting])


def test_a_task_brings_its_trainer_along(options: RunOptions) -> None:
    (trial, *_) = api.plan("s.yaml").trials
    task = Task(trial_id=trial.trial_id, attempt=1, config=trial.config, runtime=Runtime(), workdir=Path("work"))
    packed = pickle.dumps(task)
    Path("parabola.py").unlink()
    assert pickle.loads(packed) == task  # noqa: S301


def test_two_trainers_share_a_run_directory(options: RunOptions) -> None:
    first = api.sweep("s.yaml", options=options)
    Path("other.py").write_text(TRAINER, encoding="utf-8")
    Path("t.yaml").write_text(SPACE.replace("parabola.py", "other.py"), encoding="utf-8")
    second = api.sweep("t.yaml", options=options)
    assert second.outcomes.keys().isdisjoint(first.outcomes), "the name of the workload is part of the id"
    assert sorted(RunDirectory("runs").sweep_names()) == ["s", "t"]
    found = verify(RunDirectory("runs"), ["s", "t"], everything=True, deep=True)
    assert found.damaged == [], "checkpoints of other workloads are theirs"
    assert found.tallies["trial files"].verified == 8


def test_doctor_asks_only_what_the_trainer_needs(options: RunOptions) -> None:
    names = list(checks_for(Question(spec=Path("s.yaml"), workload=workload_of_space(Path("s.yaml")))))
    assert names == list(CHECKS)
    assert list(checks_for(Question())) == [*CHECKS, "weights", "data"]
    Path("parabola.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    assert workload_of_space(Path("s.yaml")).is_built_in


CHECKED = "extras = Extras(checks={'licence': lambda configs: check(configs)})\n\n    def check"


def test_doctor_shows_a_check_of_the_trainer(options: RunOptions) -> None:
    text = TRAINER.replace("Metric, TrialResult", "Extras, Metric, TrialResult").replace("def check", CHECKED, 1)
    refuse = (
        "\ndef check(configs):\n    if len(configs) == 2:\n        raise ValueError('none for two rows; buy one')\n"
    )
    refuse += "    return f'{len(configs)} rows'\n"
    Path("parabola.py").write_text(text + refuse, encoding="utf-8")
    question = Question(spec=Path("s.yaml"), workload=workload_of_space(Path("s.yaml")))
    found = finding_of("licence", checks_for(question)["licence"], question)
    assert found.line == "problem  licence: none for two rows; buy one"
    Path("s.yaml").write_text(SPACE.replace("  fast: {rate: 0.4}\n", ""), encoding="utf-8")
    assert finding_of("licence", checks_for(question)["licence"], question).line == "ok       licence: 1 rows"


def test_a_trial_imports_torch_only_if_its_trainer_does(options: RunOptions) -> None:
    program = (
        "import pickle, sys\n"
        "from orchestrator.running.executors import visible_gpus\n"
        "from orchestrator.running.worker import run_trial\n"
        "record = run_trial(pickle.load(sys.stdin.buffer), lambda point: None)\n"
        "assert record.error is None, record.error\n"
        "print(visible_gpus(), sorted({'torch', 'timm', 'ray', 'mlflow', 'matplotlib'} & set(sys.modules)))\n"
    )
    (trial, *_) = api.plan("s.yaml").trials
    task = Task(trial_id=trial.trial_id, attempt=1, config=trial.config, runtime=Runtime(), workdir=Path("work"))
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, input=pickle.dumps(task), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    if not any(path.exists() for path in DEVICE_FILES):
        assert done.stdout.decode().strip() == "0.0 []"


def test_models_need_a_trainer_that_exports_them(options: RunOptions) -> None:
    Path("s.yaml").write_text(f"{SPACE}tracking: {{models: last}}\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"s\.yaml:8: tracking\.models: the workload 'parabola\.py' exports no models"):
        api.plan("s.yaml")
    workload = workload_of_space(Path("s.yaml"))
    assert source_of("parabola.py") == workload.source
    with pytest.raises(StoreError, match=r"work: the workload parabola\.py exports no models"):
        exported_model(workload, Path("work"), "last")
    with pytest.raises(WorkloadError, match=r"elsewhere\.py: a file that was not read here; name the search space"):
        source_of("elsewhere.py")
    assert source_of("") == built_in().source


def test_the_process_that_exports_models_gets_the_trainer_with_its_files(options: RunOptions) -> None:
    Path("beside.py").write_text("RATE = 0.1\n", encoding="utf-8")
    text = TRAINER.replace("from dataclasses", "from beside import RATE\nfrom dataclasses", 1)
    Path("parabola.py").write_text(text, encoding="utf-8")
    workload = workload_of_space(Path("s.yaml"))
    assert [name for name, _ in workload.source.files] == ["beside.py"]
    assert load(WorkloadSource.from_json(json.loads(json.dumps(asdict(workload.source))))) is workload


EXPORTS = """
import numpy
import torch

from orchestrator.workload import Extras
from orchestrator.workload.exported_model import ExportedModel


def export(folder, kind):
    network = torch.nn.Linear(2, 1)
    network.load_state_dict(torch.load(folder / f"{kind}.pt"))
    return ExportedModel(network=network.eval(), example=numpy.zeros((2, 2), dtype=numpy.float32))


WORKLOAD.extras = Extras(export=export)
"""
CHECKPOINT = 'torch.save({"weight": torch.full((1, 2), config.rate), "bias": torch.zeros(1)}, workdir / "last.pt")'


@pytest.mark.filterwarnings("default")  # of MLflow's packaging
def test_the_trained_models_of_an_own_trainer_are_logged(
    options: RunOptions, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TRAINER.replace('(workdir / "last.pt").write_text("a checkpoint of its own kind")', CHECKPOINT)
    Path("parabola.py").write_text(text + EXPORTS, encoding="utf-8")
    Path("s.yaml").write_text(f"{SPACE}tracking: {{models: last}}\n", encoding="utf-8")
    assert api.sweep("s.yaml", options=options).completed
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert main(["sync", "s.yaml"]) == 0
    (experiment,) = [item for item in MlflowClient(uri).search_experiments() if item.name == EXPERIMENT]
    found = []
    for run in MlflowClient(uri).search_runs([experiment.experiment_id], "tags.role = 'trial'"):
        network = mlflow.pytorch.load_model(run.data.tags["model"])
        found.append((run.data.tags["row"], round(network(torch.ones(1, 2)).item(), 3)))
    assert sorted(found) == [("fast", 0.8), ("fast", 0.8), ("slow", 0.1), ("slow", 0.1)]
