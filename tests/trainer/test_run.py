"""Whole tiny trials: resumed ones give the same bits on the same machine; rows differ only in the contrast."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import trainer.contrast.module
import trainer.run
import trainer.training_state
from trainer import DivergedError, TrainerError
from trainer.build import build_segmentor
from trainer.checkpoint import Checkpoint, write_partial
from trainer.config import (
    AnchorConfig,
    ComputeConfig,
    ContrastConfig,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    OptimConfig,
    Runtime,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
)
from trainer.data import open_source
from trainer.data.synthetic.dataset import Synthetic
from trainer.figure_names import figure_names
from trainer.run import exclusive, train
from trainer.training_state import TrainingState

CONTRAST = ContrastConfig(
    embedding_dim=8,
    keys_per_class=10,
    warmup_fraction=0.2,
    anchors=AnchorConfig(per_class=5),
    mining=MiningConfig(positives=8, negatives=16),
    memory=MemoryConfig(pixels_per_class=20, regions_per_class=6, pixels_per_image=3),
)
BASELINE = TrainConfig(
    data=DataConfig(
        crop=(32, 64), synthetic=SyntheticConfig(train_images=5, val_images=2, test_images=3, height=32, width=64)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head_channels=8, dropout=0.3),
    contrast=ContrastConfig(source="none"),
    optim=OptimConfig(lr=0.02),
    schedule=ScheduleConfig(steps=6, batch_size=2, eval_every_steps=2),
    seed=3,
)
RUNTIME = Runtime(device="cpu", log_every_steps=1, checkpoint_every_steps=2)
ROWS = {
    "baseline": BASELINE.contrast,
    "intra_image": replace(CONTRAST, source="intra_image"),
    **{
        kind: replace(CONTRAST, memory=replace(CONTRAST.memory, kind=kind))
        for kind in ("none", "pixel", "region", "pixel_region")
    },
    "shuffled": replace(CONTRAST, labels="shuffled"),
    "random": replace(CONTRAST, anchors=AnchorConfig(kind="random"), mining=MiningConfig(kind="random", positives=4)),
}


class InterruptionError(Exception):
    """Stands for a killed process."""


class Log:
    """Collects the points of a trial; raises in place of the point at step `until`."""

    def __init__(self, until=math.inf):
        self.points, self.until = [], until

    def __call__(self, step, metrics):
        if step >= self.until:
            raise InterruptionError
        self.points.append((step, metrics))

    def of(self, name):
        return {step: metrics[name] for step, metrics in self.points if name in metrics}


def run(config, workdir, log=None, runtime=RUNTIME):
    return train(config, runtime, workdir, log or Log()).metrics


def weights(workdir):
    return torch.load(workdir / "last.pt", weights_only=True)["model"]


def without_cost(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("cost/")}


def assert_equal(left, right):
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


ENGINES = {
    "average": {"optim": OptimConfig(ema_decay=0.9)},
    "accumulation": {
        "schedule": replace(BASELINE.schedule, batch_size=4, accumulation_steps=2),
        "optim": OptimConfig(clip_norm=0.1),
    },
    "cosine": {"schedule": replace(BASELINE.schedule, policy="cosine", rate_warmup_steps=3)},
    "bfloat16": {"compute": ComputeConfig(precision="bfloat16")},
    "deterministic": {"compute": ComputeConfig(deterministic=True)},
    "contiguous, fused": {"compute": ComputeConfig(channels_last=False), "optim": OptimConfig(fused=True)},
    "lovasz": {"loss": LossConfig(kind="ce_lovasz"), "optim": OptimConfig(decay_norms_and_biases=False)},
}


@pytest.mark.parametrize("row", [*ROWS, *ENGINES])
def test_defect_12_an_interrupted_trial_ends_with_the_same_bits(tmp_path, row):
    config = replace(BASELINE, contrast=ROWS.get(row, CONTRAST), **ENGINES.get(row, {}))
    through, first, second = Log(), Log(until=4), Log()
    expected = run(config, tmp_path / "through", through)
    with pytest.raises(InterruptionError):
        run(config, tmp_path / "resumed", first)
    found = run(config, tmp_path / "resumed", second)
    assert second.points[0][0] == 3  # from the checkpoint at step 2
    assert_equal(weights(tmp_path / "through"), weights(tmp_path / "resumed"))
    assert without_cost(found) == without_cost(expected)
    resumed = dict.fromkeys(())
    for step, metrics in [*first.points, *second.points]:
        resumed[step, frozenset(metrics)] = metrics
    assert list(resumed.values()) == [metrics for _, metrics in through.points]


@pytest.mark.parametrize(
    "contrast", [CONTRAST, replace(CONTRAST, source="intra_image"), replace(CONTRAST, as_released=True)]
)
def test_statistics_that_nothing_depends_on_are_measured_where_they_are_logged(contrast, tmp_path, monkeypatch):
    """Alignment and uniformity take as long as the loss; with any interval of logging, all else has the same bits."""
    measure = trainer.contrast.module.alignment_and_uniformity
    measured = []
    monkeypatch.setattr(
        trainer.contrast.module, "alignment_and_uniformity", lambda *rows: measured.append(rows) or measure(*rows)
    )
    config, often, seldom = replace(BASELINE, contrast=contrast), Log(), Log()
    expected = run(config, tmp_path / "often", often)
    assert len(measured) == 5, "of six steps, one is in the warm-up"
    found = run(config, tmp_path / "seldom", seldom, replace(RUNTIME, log_every_steps=4))
    assert len(measured) == 5 + 2, "step 4 and the last one"
    assert_equal(weights(tmp_path / "often"), weights(tmp_path / "seldom"))
    assert without_cost(found) == without_cost(expected)
    assert {4, 6} <= seldom.of("contrast/alignment").keys() == seldom.of("contrast/uniformity").keys()
    assert all(point in often.points for point in seldom.points)


def test_every_engine_knob_is_felt(tmp_path):
    plain = run(replace(BASELINE, contrast=CONTRAST), tmp_path / "plain")
    for name, blocks in ENGINES.items():
        found = run(replace(BASELINE, contrast=CONTRAST, **blocks), tmp_path / name)
        same = [key for key in without_cost(plain) if found.get(key) == plain[key]]
        assert name == "deterministic" or len(same) < len(without_cost(plain)), name


def test_the_average_is_what_is_evaluated_and_kept(tmp_path):
    log = Log()
    config = replace(BASELINE, optim=OptimConfig(ema_decay=0.999))
    run(config, tmp_path, log)
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert any(not torch.equal(saved["average"][name], value) for name, value in saved["model"].items())
    if log.of("val/miou")[6] > max(log.of("val/miou")[2], log.of("val/miou")[4]):
        assert_equal(saved["best"], saved["average"])
    trial = TrainingState.start(config, open_source(config.data), torch.device("cpu"))
    assert_equal(trial.evaluated.state_dict(), trial.model.state_dict())
    trial.restore(Checkpoint(**saved))
    assert trial.score("val").miou == log.of("val/miou")[6]


def test_float16_needs_cuda(tmp_path):
    with pytest.raises(TrainerError, match=r"compute\.precision: float16 needs a CUDA device; use bfloat16"):
        run(replace(BASELINE, compute=ComputeConfig(precision="float16")), tmp_path)


def test_cuda_graphs_need_cuda(tmp_path):
    with pytest.raises(TrainerError, match=r"compute\.cuda_graphs: needs a CUDA device; set it to false"):
        run(replace(BASELINE, compute=ComputeConfig(cuda_graphs=True)), tmp_path)


def test_determinism_ends_with_the_trial(tmp_path):
    run(replace(BASELINE, compute=ComputeConfig(deterministic=True)), tmp_path)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_damaged_checkpoint_costs_time_but_no_bit(tmp_path):
    config = replace(BASELINE, contrast=CONTRAST)
    expected = run(config, tmp_path / "through")
    with pytest.raises(InterruptionError):
        run(config, tmp_path / "resumed", Log(until=5))
    path = tmp_path / "resumed" / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    log = Log()
    with pytest.warns(UserWarning, match="damaged checkpoint"):
        found = run(config, tmp_path / "resumed", log)
    assert log.points[0][0] == 3
    assert without_cost(found) == without_cost(expected)


def test_a_finished_trial_is_read_not_trained(tmp_path):
    config = replace(BASELINE, contrast=CONTRAST)
    log = Log()
    expected = run(config, tmp_path)
    assert run(config, tmp_path, log) == expected
    assert log.points == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "lock", "pictures"]


def test_another_config_in_the_same_folder_starts_afresh(tmp_path):
    run(BASELINE, tmp_path / "a")
    other = replace(BASELINE, seed=4)
    assert without_cost(run(other, tmp_path / "a")) == without_cost(run(other, tmp_path / "b"))


def test_defect_11_rows_see_the_same_batches_and_start_from_the_same_weights(tmp_path):
    baseline, row = Log(), Log()
    run(BASELINE, tmp_path / "baseline", baseline)
    run(replace(BASELINE, contrast=replace(CONTRAST, warmup_fraction=0.5)), tmp_path / "row", row)
    # three steps of warm-up: the fourth forward pass is the last with equal weights
    assert [row.of("train/ce")[step] == baseline.of("train/ce")[step] for step in range(1, 6)] == [True] * 4 + [False]
    assert [row.of("train/contrast")[step] > 0 for step in range(1, 7)] == [False] * 3 + [True] * 3
    assert row.of("val/miou")[2] == baseline.of("val/miou")[2]
    assert any(
        not torch.equal(weight, weights(tmp_path / "row")[name])
        for name, weight in weights(tmp_path / "baseline").items()
    )


def test_points_and_figures_have_their_names(tmp_path):
    log = Log()
    figures = run(replace(BASELINE, contrast=CONTRAST), tmp_path, log, Runtime(device="cpu", log_every_steps=4))
    assert sorted(log.of("train/loss")) == [4, 6]
    assert sorted(log.of("val/miou")) == sorted(log.of("val/pixel_accuracy")) == [2, 4, 6]
    trained = next(metrics for _, metrics in log.points if "train/loss" in metrics)
    assert {"train/ce", "train/contrast", "train/lr", "contrast/loss", "contrast/bank_fill"} <= trained.keys()
    assert log.of("train/lr")[6] == pytest.approx(0.02 * (1 - 5 / 6) ** 0.9)
    assert figures["val/miou"] == log.of("val/miou")[6]
    assert figures["val/best_miou"] == max(log.of("val/miou").values())
    assert figures["contrast/purity"] == 1.0
    wanted = {"final/miou", "final/pixel_accuracy", "final/mean_accuracy", "final/iou/road"}
    wanted |= {"cost/train_minutes", "cost/step_ms", "cost/images_per_second", "cost/parameters_millions"}
    assert wanted <= figures.keys()
    assert all(type(value) is float and math.isfinite(value) for value in figures.values())
    ious = [value for name, value in figures.items() if name.startswith("final/iou/")]
    assert figures["final/miou"] == pytest.approx(sum(ious) / len(ious))
    assert figures["final/classes"] == len(ious)


@pytest.mark.parametrize("source", ["none", "intra_image", "inter_image"])
def test_all_figures_are_those_that_planning_expects(tmp_path, source):
    """So no column of a table is refused that a trial has, and none is accepted that no trial has."""
    contrast = replace(CONTRAST, source=source)
    config = replace(BASELINE, contrast=contrast)
    figures = run(config, tmp_path, runtime=Runtime(device="cpu", log_every_steps=2))
    expected = figure_names(config.normalised().contrast, open_source(config.data).class_names)
    assert set(figures) <= expected
    lacking = {name for name in expected - set(figures) if not name.startswith("final/iou/")}
    assert lacking == {"cost/peak_memory_gb", "cost/gpu_hours"}  # of a trial on a GPU


class VoidSource(Synthetic):
    """The generated scenes with nothing labelled in the splits `void`."""

    void: tuple[str, ...] = ("val", "test")

    def read(self, split, index):
        image_HW3, label_HW = super().read(split, index)
        return (image_HW3, np.full_like(label_HW, 255)) if split in self.void else (image_HW3, label_HW)


def test_nothing_to_average_is_no_figure(tmp_path, monkeypatch):
    """Seen: 0.00 in every column, and a best of -1."""
    monkeypatch.setattr(trainer.run, "open_source", lambda config: VoidSource(config.synthetic))
    log = Log()
    figures = run(BASELINE, tmp_path, log)
    assert not [name for name in figures if name.startswith(("final/", "val/"))]
    assert "cost/step_ms" in figures
    assert log.of("train/loss")
    assert not log.of("val/miou")
    assert torch.load(tmp_path / "last.pt", weights_only=True)["best"]


def test_a_loss_without_anchors_reports_no_mean(tmp_path, monkeypatch):
    """The similarities of no anchor were 0, and so was their alignment."""
    monkeypatch.setattr(VoidSource, "void", ("train", "val", "test"))
    monkeypatch.setattr(trainer.run, "open_source", lambda config: VoidSource(config.synthetic))
    log = Log()
    figures = run(replace(BASELINE, contrast=CONTRAST), tmp_path, log)
    reported = {name for name in figures if name.startswith("contrast/")}
    assert reported == {"contrast/anchors", "contrast/anchored_share", "contrast/bank_fill"}
    assert all(math.isfinite(value) for _, point in log.points for value in point.values())


def test_inference_parameters_are_those_of_the_baseline(tmp_path):
    name = "cost/parameters_millions"
    assert run(BASELINE, tmp_path / "a")[name] == run(replace(BASELINE, contrast=CONTRAST), tmp_path / "b")[name]


def test_parameters_are_those_that_the_evaluated_network_uses(tmp_path):
    """DeepLabV3 has an auxiliary classifier for training."""
    config = replace(BASELINE, model=replace(BASELINE.model, head="deeplabv3"))
    network = build_segmentor(config.model, config.contrast, classes=11, seed=0).eval()
    network(torch.rand(1, 3, 32, 64)).logits_BCHW.square().mean().backward()
    used = sum(item.numel() for item in network.parameters() if item.grad is not None)
    assert used < sum(item.numel() for item in network.parameters())
    assert run(config, tmp_path)["cost/parameters_millions"] == used / 1e6


def test_the_counts_of_each_test_image_add_up_to_the_figures(tmp_path):
    result = train(BASELINE, Runtime(device="cpu"), tmp_path, Log())
    assert result.count_NCK.shape == (BASELINE.data.synthetic.test_images, 11, 3)
    total_CK = result.count_NCK.sum(dim=0).double()
    assert float(total_CK[:, 0].sum() / total_CK[:, 1].sum()) == result.metrics["final/pixel_accuracy"]
    union_C = total_CK[:, 1] + total_CK[:, 2] - total_CK[:, 0]
    scored = {name.removeprefix("final/iou/"): value for name, value in result.metrics.items() if "/iou/" in name}
    assert scored
    for name, iou in scored.items():
        place = result.class_names.index(name)
        assert float(total_CK[place, 0] / union_C[place]) == iou


def test_equal_splits_are_evaluated_once(tmp_path, monkeypatch):
    splits = []
    evaluate = trainer.training_state.evaluate

    def count(model, source, split, **keywords):
        splits.append(split)
        return evaluate(model, source, split, **keywords)

    monkeypatch.setattr(trainer.training_state, "evaluate", count)
    config = replace(BASELINE, schedule=ScheduleConfig(steps=2, batch_size=2))
    figures = run(replace(config, data=replace(config.data, test_split="val")), tmp_path / "same")
    assert splits == ["val"]
    assert figures["final/miou"] == figures["val/miou"]
    run(config, tmp_path / "apart")
    assert splits == ["val", "val", "test"]


def test_the_views_are_of_the_reported_figures_alone(tmp_path):
    data = replace(BASELINE.data, test_split="val")
    plain, seen = Log(), Log()
    figures = run(replace(BASELINE, data=data), tmp_path / "plain", plain)
    views = EvaluationConfig(flip=True, scales=(0.5, 1.0, 2.0))
    other = run(replace(BASELINE, data=data, evaluation=views), tmp_path / "views", seen)
    assert seen.points == plain.points
    assert other["val/miou"] == figures["val/miou"] == figures["final/miou"] != other["final/miou"]


def test_the_training_time_counts_kept_steps_of_all_attempts(tmp_path):
    with pytest.raises(InterruptionError):
        run(BASELINE, tmp_path, Log(until=4))
    before = torch.load(tmp_path / "last.pt", weights_only=True)["seconds"]
    figures = run(BASELINE, tmp_path)
    assert figures["cost/train_minutes"] * 60 > before > 0
    assert figures["cost/step_ms"] == pytest.approx(figures["cost/train_minutes"] * 60_000 / 6)


class SlowSource(Synthetic):
    """The generated scenes, read from a slow disk."""

    seconds = 0.02

    def read(self, split, index):
        time.sleep(self.seconds)
        return super().read(split, index)


def test_the_wait_for_data_counts_kept_steps_of_all_attempts(tmp_path, monkeypatch):
    """Batches of two images: each step waits for two reads; evaluation reads too, but is not training time."""
    monkeypatch.setattr(trainer.run, "open_source", lambda config: SlowSource(config.synthetic))
    with pytest.raises(InterruptionError):
        run(BASELINE, tmp_path, Log(until=4))
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["step"] == 2
    assert 2 * 2 * SlowSource.seconds <= saved["loader_seconds"] <= saved["seconds"]
    figures = run(BASELINE, tmp_path)
    waited = figures["cost/loader_wait_share"] * figures["cost/train_minutes"] * 60
    assert 6 * 2 * SlowSource.seconds <= waited <= figures["cost/train_minutes"] * 60
    rest = figures["cost/train_minutes"] * 60 - waited
    assert rest > 0


def test_a_checkpoint_that_does_not_say_how_long_it_waited_is_resumed(tmp_path):
    with pytest.raises(InterruptionError):
        run(BASELINE, tmp_path, Log(until=4))
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    del saved["loader_seconds"]
    write_partial(saved, tmp_path / "last.pt").replace(tmp_path / "last.pt")
    log = Log()
    figures = run(BASELINE, tmp_path, log)
    assert log.points[0][0] == 3
    assert 0 < figures["cost/loader_wait_share"] < 1


@pytest.mark.parametrize(("threads", "expected"), [(0, "training thread"), (2, "2 threads")])
def test_the_result_says_how_the_data_was_loaded(tmp_path, threads, expected):
    assert train(BASELINE, replace(RUNTIME, loader_threads=threads), tmp_path, Log()).loader == expected


def test_divergence_names_the_step_and_the_knob(tmp_path):
    config = replace(BASELINE, optim=OptimConfig(lr=1e12), schedule=ScheduleConfig(steps=30, batch_size=2))
    with pytest.raises(DivergedError, match=r"step \d+: the loss is (nan|inf); lower optim\.lr") as raised:
        run(config, tmp_path)
    assert "\n" not in str(raised.value)


def test_two_processes_never_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.run, "exclusive", partial(exclusive, wait_seconds=0))
    with exclusive(tmp_path / "lock"), pytest.raises(TrainerError, match="another process is training"):
        run(BASELINE, tmp_path)


def test_the_process_s_own_chance_is_left_alone(tmp_path):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    run(BASELINE, tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_a_missing_device_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainerError, match="torch sees no CUDA device; use auto or cpu"):
        run(BASELINE, tmp_path, runtime=Runtime(device="cuda"))


def test_knobs_without_effect_change_no_bit(tmp_path):
    idle = replace(BASELINE, contrast=replace(CONTRAST, source="none", temperature=0.7, embedding_dim=4))
    assert without_cost(run(BASELINE, tmp_path / "a")) == without_cost(run(idle, tmp_path / "b"))
