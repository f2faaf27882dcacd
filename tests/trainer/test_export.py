"""An exported network predicts what the trial evaluated, and has nothing that only training needs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainer import TrainerError
from trainer.checkpoint import Checkpoints
from trainer.config import (
    ContrastConfig,
    DataConfig,
    MemoryConfig,
    ModelConfig,
    OptimConfig,
    Runtime,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)
from trainer.data import open_source
from trainer.data.loading.batches import evaluation_batches
from trainer.export import export_inference, inference_network, load_inference, main
from trainer.run import train

CONFIG = TrainConfig(
    data=DataConfig(
        crop=(32, 64), synthetic=SyntheticConfig(train_images=4, val_images=2, test_images=3, height=32, width=64)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head_channels=8),
    contrast=ContrastConfig(embedding_dim=8, memory=MemoryConfig(pixels_per_class=20, regions_per_class=6)),
    schedule=ScheduleConfig(steps=4, batch_size=2, eval_every_steps=2),
)
HEADS = ("deeplabv3", "hrnet", "ocr")


@pytest.fixture(scope="module", params=HEADS)
def trained(request, tmp_path_factory):
    """A trial with contrast, and its figures."""
    config = replace(CONFIG, model=replace(CONFIG.model, head=request.param))
    workdir = tmp_path_factory.mktemp(request.param)
    return config, workdir, train(config, Runtime(device="cpu"), workdir, lambda step, metrics: None).metrics


def flops(network):
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network(torch.zeros(1, 3, 32, 64))
    return counter.get_total_flops()


def test_it_predicts_what_the_trial_was_scored_for(trained, tmp_path):
    config, workdir, figures = trained
    export_inference(workdir, tmp_path / "model.pt")
    network = load_inference(tmp_path / "model.pt")
    right = total = 0
    with torch.inference_mode():
        for batch in evaluation_batches(open_source(config.data), "test", 2):
            known = batch.label_BHW != 255
            right += int((network(batch.image_B3HW).logits_BCHW.argmax(1) == batch.label_BHW)[known].sum())
            total += int(known.sum())
    assert right / total == pytest.approx(figures["final/pixel_accuracy"], abs=1e-6)


def test_it_costs_what_the_baseline_costs(trained, tmp_path):
    from trainer.build import build_segmentor

    config, workdir, _ = trained
    export_inference(workdir, tmp_path / "model.pt", best=True)
    network = load_inference(tmp_path / "model.pt")
    baseline = build_segmentor(config.model, ContrastConfig(source="none"), classes=11, seed=0).eval()
    assert flops(network) == flops(baseline) > 0
    unused = [name for name in baseline.state_dict() if name.startswith("head.aux.")]
    assert bool(unused) == (config.model.head == "deeplabv3")
    assert sorted([*network.state_dict(), *unused]) == sorted(baseline.state_dict()), "no projection, no bank"
    kept = torch.load(tmp_path / "model.pt", weights_only=True)["weights"]
    assert not [name for name in kept if "projection" in name or "queue" in name or "aux" in name]


def test_the_reported_parameters_are_those_of_the_exported_network(trained, tmp_path):
    _, workdir, figures = trained
    network, _ = inference_network(workdir)
    assert figures["cost/parameters_millions"] == sum(item.numel() for item in network.parameters()) / 1e6
    network.requires_grad_(True)
    network(torch.rand(1, 3, 32, 64)).logits_BCHW.square().mean().backward()
    assert [name for name, item in network.named_parameters() if item.grad is None] == []


def test_an_exported_file_with_an_auxiliary_classifier_can_still_be_loaded(trained, tmp_path):
    """As earlier versions wrote them."""
    _, workdir, _ = trained
    export_inference(workdir, tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    weights = torch.load(workdir / "last.pt", weights_only=True)["best"]
    content["weights"] |= {name: value for name, value in weights.items() if name.startswith("head.aux.")}
    torch.save(content, tmp_path / "older.pt")
    image = torch.rand(1, 3, 32, 64)
    with torch.inference_mode():
        older, newer = (load_inference(tmp_path / name)(image).logits_BCHW for name in ("older.pt", "model.pt"))
    assert torch.equal(older, newer)


def test_the_average_is_exported_where_it_was_evaluated(tmp_path):
    config = replace(CONFIG, optim=OptimConfig(ema_decay=0.5))
    figures = train(config, Runtime(device="cpu"), tmp_path / "t", lambda step, metrics: None).metrics
    export_inference(tmp_path / "t", tmp_path / "model.pt")
    network = load_inference(tmp_path / "model.pt")
    (batch,) = [*evaluation_batches(open_source(config.data), "test", 3)]
    known = batch.label_BHW != 255
    with torch.inference_mode():
        right = (network(batch.image_B3HW).logits_BCHW.argmax(1) == batch.label_BHW)[known].float().mean()
    assert float(right) == pytest.approx(figures["final/pixel_accuracy"], abs=1e-6)


def test_without_best_weights_it_says_to_take_the_last_ones(trained, tmp_path):
    _, workdir, _ = trained
    before = Checkpoints(workdir).newest()
    best, before.best = before.best, None  # as earlier versions wrote it, with best.pt beside it
    Checkpoints(tmp_path).save(before)
    expected = rf"^{tmp_path}: cannot read the best weights \(best\.pt: {{}}\); export the last ones$"
    with pytest.raises(TrainerError, match=expected.format("No such file or directory")):
        inference_network(tmp_path, best=True)
    Checkpoints(tmp_path).save_best(best)
    assert torch.equal(*(next(inference_network(path, best=True)[0].parameters()) for path in (workdir, tmp_path)))
    (tmp_path / "best.pt").write_bytes((tmp_path / "best.pt").read_bytes()[:1000])
    with pytest.raises(TrainerError, match=expected.format("damaged, cut short, or its end is damaged")):
        inference_network(tmp_path, best=True)
    network, config = inference_network(tmp_path)
    assert not network.training
    assert config.backbone == "timm/test_resnet"


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "other.pt").write_bytes(b"something else")
    with pytest.raises(TrainerError, match=r"other\.pt: not an exported network"):
        load_inference(tmp_path / "other.pt")
    monkeypatch.setattr(sys, "argv", ["export", str(tmp_path), "--out", str(tmp_path / "model.pt")])
    assert main() == 2
    assert capsys.readouterr().err == f"{tmp_path}: no checkpoint (last.pt); give the folder of a trained trial\n"
