"""A probe takes a few full steps, measures them, and leaves no trace."""

import threading
from dataclasses import replace

import pytest
import torch

import trainer.evaluate
import trainer.probe
import trainer.run
from trainer.config import (
    AnchorConfig,
    BaseSizeConfig,
    ContrastConfig,
    DataConfig,
    EvaluationConfig,
    MemoryConfig,
    MiningConfig,
    ModelConfig,
    Runtime,
    ScheduleConfig,
    SyntheticConfig,
    TrainConfig,
    setting,
)
from trainer.probe import probe
from trainer.step import TrainStep
from trainer.training_state import TrainingState

CONFIG = TrainConfig(
    data=DataConfig(
        crop=(32, 64), synthetic=SyntheticConfig(train_images=4, val_images=3, test_images=2, height=32, width=64)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head_channels=8),
    contrast=ContrastConfig(
        embedding_dim=8,
        keys_per_class=10,
        warmup_fraction=0.5,
        anchors=AnchorConfig(per_class=5),
        mining=MiningConfig(positives=8, negatives=16),
        memory=MemoryConfig(pixels_per_class=20, regions_per_class=6, pixels_per_image=3),
    ),
    schedule=ScheduleConfig(steps=1000, batch_size=2),
)
RUNTIME = Runtime(device="cpu")


def test_every_probed_step_has_its_contrastive_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    take = TrainStep.__call__

    def spy(self, batch, step):
        measured = take(self, batch, step)
        seen.append((step, "train/contrast" in measured))
        return measured

    monkeypatch.setattr(TrainStep, "__call__", spy)
    measured = probe(CONFIG, RUNTIME, steps=3)
    assert seen == [(500, True), (501, True), (502, True)], "after the warm-up of half the schedule"
    assert set(measured) == {"probe/step_seconds"}, "no memory is claimed to be known on a CPU"
    assert measured["probe/step_seconds"] > 0


def test_a_trial_that_is_shorter_than_a_probe_is_measured_in_the_steps_that_it_has() -> None:
    config = replace(CONFIG, schedule=replace(CONFIG.schedule, steps=2, eval_every_steps=1))
    assert probe(config, RUNTIME)["probe/step_seconds"] > 0


def test_evaluation_is_measured_as_the_trial_will_do_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several views of an image need more memory than training, and come last."""
    seen = []
    monkeypatch.setattr(
        TrainingState, "score", lambda state, split, views=None, *, batches: seen.append((split, views, batches))
    )
    config = replace(CONFIG, evaluation=EvaluationConfig(scales=(0.5, 2.0), flip=True))
    probe(config, RUNTIME, steps=1)
    assert seen == [("val", None, 1), ("test", config.evaluation, 1)]


def test_a_probe_evaluates_while_its_loader_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a trial does: what a loader keeps on the device counts in the peak of the evaluation."""
    open_threads = []
    score = TrainingState.score

    def spy(state, *arguments, **options):
        open_threads.append(sum(thread.name.startswith("loader") for thread in threading.enumerate()))
        return score(state, *arguments, **options)

    monkeypatch.setattr(TrainingState, "score", spy)
    probe(CONFIG, replace(RUNTIME, loader_threads=2), steps=2)
    assert open_threads == [2, 2]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_the_callers_chance_is_untouched() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    probe(replace(CONFIG, contrast=ContrastConfig(source="none")), RUNTIME, steps=1)
    assert torch.rand(1) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_peak_on_a_gpu_is_that_of_a_real_trial(tmp_path) -> None:
    """Within 10 % of what the process holds without its context."""
    runtime = Runtime(device="cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    config = replace(CONFIG, schedule=ScheduleConfig(steps=12, batch_size=2, eval_every_steps=6))
    predicted = probe(config, runtime)["probe/peak_memory_gb"]
    allocated = torch.cuda.max_memory_reserved() / 1e9
    context = predicted - allocated
    assert 0 < context < 1.5, "what CUDA itself takes; more is somebody else's"
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    trainer.run.train(config, runtime, tmp_path, lambda step, metrics: None)
    assert predicted - context == pytest.approx(torch.cuda.max_memory_reserved() / 1e9, rel=0.1)


def test_a_batch_is_evaluated_as_the_curve_and_as_the_reported_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one batch each; images at twice their size take four times the memory, which a probe must see."""
    sizes = []
    views = EvaluationConfig(scales=(1.0, 2.0))
    data = replace(CONFIG.data, base_size=BaseSizeConfig(short=48))
    average = trainer.evaluate.average_logits

    def spy(network, image_B3HW, config, size):
        sizes.append((tuple(image_B3HW.shape), setting(config, "scales"), size))
        return average(network, image_B3HW, config, size)

    monkeypatch.setattr(trainer.evaluate, "average_logits", spy)
    probe(replace(CONFIG, data=data, evaluation=views), RUNTIME, steps=1)
    assert sizes == [((2, 3, 48, 96), (1.0,), (32, 64)), ((2, 3, 48, 96), (1.0, 2.0), (32, 64))]
