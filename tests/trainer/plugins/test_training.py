"""Plugins in a trial: an error on one rank of several, and the export of a network with a plugin's head."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.running.worker import describe
from orchestrator.tracking.mlflow_models import exported_model
from orchestrator.workload.loading import built_in
from trainer import TrainerError
from trainer.config import (
    ContrastConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    PluginPart,
    Runtime,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)
from trainer.export import export_inference, load_inference, main
from trainer.plugins.loading import read_plugin
from trainer.run import train

METHOD = """import torch
from torch import distributed, nn
from trainer.losses import LOSSES as OURS
from trainer.models.heads.base import Head, HeadOutput
from trainer.plugins import Entry

def loss(logits, label, settings):
    if distributed.is_initialized() and distributed.get_rank() == 1:
        raise KeyError("no such class")
    return OURS["ce"].code(logits, label, settings)

class Linear(Head):
    def __init__(self, shape, classes, config):
        super().__init__(shape, classes, config)
        self.tap_channels = shape.channels[-1]
        self.classify = nn.Conv2d(self.tap_channels, classes, 1)

    def forward(self, features):
        return HeadOutput(self.classify(features[-1]), None, features[-1])

LOSSES = {"mine": Entry(code=loss)}
HEADS = {"linear": Entry(code=Linear)}
"""
CONFIG = TrainConfig(
    data=DataConfig(
        crop=(32, 64), synthetic=SyntheticConfig(train_images=4, val_images=2, test_images=2, height=32, width=64)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head_channels=8),
    contrast=ContrastConfig(source="none"),
    schedule=ScheduleConfig(steps=1, batch_size=2),
)


@pytest.fixture
def method(tmp_path: Path) -> TrainConfig:
    """A configuration with a loss and a head of a plugin."""
    (tmp_path / "method.py").write_text(METHOD, encoding="utf-8")
    source = read_plugin("method.py", tmp_path).source
    loss, head = (PluginPart(source=source, table=table, name=name) for table, name in USED)
    model = replace(CONFIG.model, head="linear", head_plugin=head)
    return replace(CONFIG, model=model, loss=LossConfig(kind="mine", plugin=loss)).normalised()


USED = (("LOSSES", "mine"), ("HEADS", "linear"))


@pytest.mark.slow
def test_an_error_on_one_rank_of_several_is_a_line_with_its_place(method: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(KeyError) as caught:
        train(method, Runtime(device="cpu", ranks=2), tmp_path / "trial", lambda step, metrics: None)
    line = METHOD.partition("raise KeyError")[0].count("\n") + 1
    record = describe(caught.value)
    assert (record.kind, record.message) == ("KeyError", f"{tmp_path}/method.py:{line}: 'no such class'")
    assert "on rank 1 of 2" in record.traceback


def test_only_what_the_network_needs_of_a_plugin_prevents_its_export(
    method: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss of a plugin is not part of the exported network; a head is, and its code is not in the file."""
    trials = {"head": method, "loss": replace(method, model=CONFIG.model)}
    for name, config in trials.items():
        train(config, Runtime(device="cpu"), tmp_path / name, lambda step, metrics: None)
    export_inference(tmp_path / "loss", tmp_path / "model.pt")
    assert load_inference(tmp_path / "model.pt").training is False

    message = "cannot export a network with 'linear' of a plugin; load last.pt with code of your own"
    with pytest.raises(TrainerError, match=f"^{tmp_path}/head: {message}$"):
        export_inference(tmp_path / "head", tmp_path / "other.pt")
    with pytest.raises(StoreError, match=f"no last checkpoint for a model .{message}"):
        exported_model(built_in(), tmp_path / "head", "last")
    monkeypatch.setattr(sys, "argv", ["export", str(tmp_path / "head"), "--out", str(tmp_path / "other.pt")])
    assert main() == 2
    assert capsys.readouterr().err == f"{tmp_path}/head: {message}\n"
    assert not (tmp_path / "other.pt").exists()
