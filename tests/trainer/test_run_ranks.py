"""A trial with two ranks equals the trial with one, up to rounding: curve, bank, checkpoints, end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from functools import partial

import pytest
import torch

import trainer.run
from trainer import RankLostError, TrainerError
from trainer.config import (
    AnchorConfig,
    ComputeConfig,
    ContrastConfig,
    DataConfig,
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
from trainer.distributed import process_group
from trainer.launch import run_ranks
from trainer.run import train, train_here
from trainer.testing.two_ranks import state_hash

CONFIG = TrainConfig(
    data=DataConfig(
        crop=(64, 96), synthetic=SyntheticConfig(train_images=8, val_images=3, test_images=5, height=64, width=96)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head_channels=8, output_stride=8, dropout=0.0),
    contrast=ContrastConfig(
        embedding_dim=8,
        keys_per_class=10,
        temperature=0.5,
        warmup_fraction=0.2,  # four of the twenty steps
        anchors=AnchorConfig(per_class=5),
        mining=MiningConfig(kind="random", positives=8, negatives=16),
        memory=MemoryConfig(pixels_per_class=20, regions_per_class=6, pixels_per_image=3),
    ),
    optim=OptimConfig(lr=0.005),
    schedule=ScheduleConfig(steps=20, batch_size=4, eval_every_steps=10),
    seed=3,
).normalised()
RUNTIME = Runtime(device="cpu", log_every_steps=1, checkpoint_every_steps=10)
SHORT = replace(CONFIG.schedule, steps=3)
ENGINES = {
    "average": {"optim": replace(CONFIG.optim, ema_decay=0.9, clip_norm=0.1)},
    "bfloat16": {"compute": ComputeConfig(precision="bfloat16")},
    "deterministic": {"compute": ComputeConfig(deterministic=True)},
    "dropout": {"model": replace(CONFIG.model, dropout=0.5)},
    "lovasz": {"loss": LossConfig(kind="ce_lovasz")},
    "ohem": {"loss": LossConfig(kind="ohem"), "contrast": replace(CONFIG.contrast, source="intra_image")},
    "ocr": {"model": replace(CONFIG.model, head="ocr"), "contrast": replace(CONFIG.contrast, as_released=True)},
    "accumulation": {"schedule": replace(SHORT, accumulation_steps=2), "contrast": ContrastConfig(source="none")},
}
ARRIVAL = 10
"""The step whose checkpoint others resume from."""


class Trial:
    """A trial that ran through, with its curve and the checkpoint it wrote on its way."""

    def __init__(self, workdir, runtime):
        self.workdir, self.halfway, self.curve = workdir, workdir / "halfway.pt", {}
        self.result = train(CONFIG, runtime, workdir, self.note)
        self.last = torch.load(workdir / "last.pt", weights_only=True)

    def note(self, step, metrics):
        if step == ARRIVAL + 1 and "train/loss" in metrics:
            shutil.copy(self.workdir / "last.pt", self.halfway)
        self.curve.setdefault(step, {}).update(metrics)

    def of(self, name, first=1):
        return [metrics[name] for step, metrics in self.curve.items() if name in metrics and step >= first]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return Trial(tmp_path_factory.mktemp("one"), RUNTIME)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return Trial(tmp_path_factory.mktemp("two"), replace(RUNTIME, ranks=2))


def continue_and_die(folder, info, progress):
    """Finish the trials in `folder`, record the final state of each rank, then kill rank 1 in another trial."""
    held = {}
    run_steps = trainer.run.run_steps

    def observed(trial, *arguments):
        first = trial.step
        run_steps(trial, *arguments)
        held[name] = {"first": first, "model_hash": state_hash(trial.model), "average": state_hash(trial.evaluated)}
        if trial.contrast is not None:
            held[name]["bank_hash"] = state_hash(trial.contrast)
            held[name]["bank"] = {key: value.clone() for key, value in trial.contrast.state_dict().items()}

    def die(step, metrics):
        progress(step, metrics)
        if (info.rank, step) == (1, 3):
            os.kill(os.getpid(), signal.SIGKILL)

    trainer.run.run_steps = observed
    cpu = torch.device("cpu")
    with process_group(info, cpu):
        for name in ("from_one", "from_two"):
            result = train_here(CONFIG, RUNTIME, folder / name, lambda step, metrics: None, cpu)
            held[name]["metrics"] = result.metrics
        for name, changes in ENGINES.items():
            config = replace(CONFIG, **{"schedule": SHORT, **changes}).normalised()
            result = train_here(config, RUNTIME, folder / name, lambda step, metrics: None, cpu)
            held[name]["metrics"] = result.metrics
        held["modules"] = list(sys.modules)
        torch.save(held, folder / f"{info.rank}.pt")
        (folder / f"{info.rank}.pid").write_text(str(os.getpid()))
        train_here(CONFIG, RUNTIME, folder / "killed", die, cpu)


@pytest.fixture(scope="module")
def resumed(one, two, tmp_path_factory):
    """What each rank held, how the killed trial ended, and how many seconds after its last point."""
    folder = tmp_path_factory.mktemp("resumed")
    for name, trial in (("from_one", one), ("from_two", two)):
        (folder / name).mkdir()
        shutil.copy(trial.halfway, folder / name / "last.pt")
    heard = [time.monotonic()]
    with pytest.raises(RankLostError) as raised:
        run_ranks(partial(continue_and_die, folder), 2, lambda step, metrics: heard.append(time.monotonic()))
    waited = time.monotonic() - heard[-1]
    return folder, [torch.load(folder / f"{rank}.pt") for rank in range(2)], str(raised.value), waited


def test_two_processes_have_the_curve_of_one(one, two):
    """Twenty steps, four of them before the contrast counts.

    Float32 sums are taken in another order, and training magnifies the difference step by step. Measured on this
    configuration, largest over the twenty steps: 2e-5 of the loss, 6e-6 of the cross-entropy, 2e-4 of the contrastive
    loss; one process with two threads instead of one, which reorders sums likewise, differs by 1e-5, 6e-6 and 1e-4.
    Where two logits nearly tie, the last bit decides whether a pixel counts as misclassified, and so which anchors are
    chosen: with the kernels of ATEN_CPU_CAPABILITY=default one step of the twenty differs by 4e-4 of the loss and 6e-3
    of the contrastive loss, and the cross-entropy by 8e-6. So two steps may differ by more than the usual tolerance.
    A tenth of the gradient lost would show: it moves loss, cross-entropy and contrast by 2e-3, 3e-3 and 4e-3.
    """
    assert list(two.curve) == list(one.curve) == list(range(1, 21))
    assert two.of("train/ce") == pytest.approx(one.of("train/ce"), rel=2e-4)
    for name, usual, largest in (("train/loss", 2e-4, 2e-3), ("train/contrast", 2e-3, 2e-2)):
        assert two.of(name) == pytest.approx(one.of(name), rel=largest), name
        pairs = zip(two.of(name), one.of(name), strict=True)
        assert sum(value != pytest.approx(expected, rel=usual) for value, expected in pairs) <= 2, name
    assert [value > 0 for value in one.of("train/contrast")] == [False] * 4 + [True] * 16
    assert two.of("train/lr") == one.of("train/lr")


def test_budgets_are_those_of_the_global_batch(one, two):
    for name in ("contrast/anchors", "contrast/anchors_per_class", "contrast/positives", "contrast/negatives"):
        assert two.of(name) == one.of(name), name
    assert two.of("contrast/bank_fill") == one.of("contrast/bank_fill")
    assert set(two.of("contrast/purity")) == {1.0}


def test_two_processes_have_the_figures_of_one(one, two):
    assert two.result.metrics.keys() == one.result.metrics.keys()
    for name in ("final/miou", "final/pixel_accuracy", "val/best_miou"):
        assert two.result.metrics[name] == pytest.approx(one.result.metrics[name], abs=0.01), name
    assert two.result.metrics["cost/parameters_millions"] == one.result.metrics["cost/parameters_millions"]
    assert [path.name for path in two.result.pictures] == [path.name for path in one.result.pictures]
    assert sorted(path.name for path in two.workdir.iterdir()) == sorted(path.name for path in one.workdir.iterdir())


def test_shared_evaluation_gives_the_very_scores_of_one_process(two, tmp_path):
    shutil.copy(two.workdir / "last.pt", tmp_path / "last.pt")
    alone = train(CONFIG, RUNTIME, tmp_path, lambda step, metrics: None).metrics  # finished: only evaluated
    scores = [name for name in alone if name.startswith("final/")]
    assert len(scores) > 5
    assert {name: alone[name] for name in scores} == {name: two.result.metrics[name] for name in scores}


def test_the_weights_are_those_of_one_process(one, two):
    torch.testing.assert_close(two.last["model"], one.last["model"], rtol=1e-2, atol=2e-3)
    assert list(two.last["model"]) == list(one.last["model"])


@pytest.mark.slow
def test_ranks_hold_the_same_bank_and_weights_after_twenty_steps(resumed):
    _, (first, second), _, _ = resumed
    for name in ("from_one", "from_two"):
        assert first[name]["first"] == second[name]["first"] == ARRIVAL
        assert first[name]["bank_hash"] == second[name]["bank_hash"], name
        assert first[name]["model_hash"] == second[name]["model_hash"], name
    assert first["from_one"]["bank_hash"] != first["from_two"]["bank_hash"]


@pytest.mark.slow
def test_an_interrupted_trial_of_two_ranks_ends_with_the_same_bits(two, resumed):
    folder, (held, _), _, _ = resumed
    last = torch.load(folder / "from_two" / "last.pt", weights_only=True)
    assert [name for name, value in two.last["model"].items() if not torch.equal(value, last["model"][name])] == []
    same = {name: value for name, value in two.result.metrics.items() if not name.startswith("cost/")}
    assert {name: held["from_two"]["metrics"][name] for name in same} == same


@pytest.mark.slow
def test_a_checkpoint_of_one_process_resumes_in_two(one, resumed):
    folder, (held, _), _, _ = resumed
    last = torch.load(folder / "from_one" / "last.pt", weights_only=True)
    torch.testing.assert_close(last["model"], one.last["model"], rtol=1e-2, atol=2e-3)
    purity = {name: value for name, value in held["from_one"]["bank"].items() if "purity" in name}
    assert len(purity) == 2
    assert all(bool(((value == 1) | (value == 0)).all()) for value in purity.values())


@pytest.mark.slow
def test_a_checkpoint_of_two_processes_resumes_in_one(two, resumed, tmp_path, monkeypatch):
    """The bank at its end is that of two ranks: the same rows, each unit vector to 0.02."""
    banks = []
    run_steps = trainer.run.run_steps

    def observed(trial, *arguments):
        run_steps(trial, *arguments)
        banks.append(trial.contrast.state_dict())

    monkeypatch.setattr(trainer.run, "run_steps", observed)
    shutil.copy(two.halfway, tmp_path / "last.pt")
    curve = []
    train(CONFIG, RUNTIME, tmp_path, lambda step, metrics: curve.append(metrics.get("train/loss")))
    rest = [value for value in curve if value is not None]
    assert rest == pytest.approx(two.of("train/loss", first=ARRIVAL + 1), rel=2e-4)
    _, (held, _), _, _ = resumed
    expected = held["from_two"]["bank"]
    assert list(banks[0]) == list(expected)
    for name, value in banks[0].items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0.02 if "embedding" in name else 0)


@pytest.mark.slow
def test_a_killed_rank_is_a_clear_error_within_seconds_and_leaves_no_process(resumed):
    folder, _, message, waited = resumed
    assert message.startswith("rank 1 of 2 was killed by SIGKILL (out of memory?); the other ranks were stopped; run")
    assert waited < 20  # gloo itself would wait for half an hour
    for rank in range(2):
        with pytest.raises(ProcessLookupError):
            os.kill(int((folder / f"{rank}.pid").read_text()), 0)


@pytest.mark.slow
def test_a_trial_imports_no_yaml_library(resumed):
    """It is imported for descriptions of own data only."""
    _, ranks, _, _ = resumed
    for held in ranks:
        assert "trainer.run" in held["modules"]
        assert [name for name in held["modules"] if "ruamel" in name] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_keeps_the_ranks_together(resumed, name):
    _, (first, second), _, _ = resumed
    for hashed in ("model_hash", "average", *(["bank_hash"] if name != "accumulation" else [])):
        assert first[name][hashed] == second[name][hashed], hashed
    scores = [key for key in first[name]["metrics"] if key.startswith("final/")]
    assert {key: first[name]["metrics"][key] for key in scores} == {key: second[name]["metrics"][key] for key in scores}
    assert (first[name]["average"] != first[name]["model_hash"]) == (name == "average")


@pytest.mark.parametrize(
    ("changes", "ranks", "words"),
    [
        ({}, 3, r"schedule\.batch_size: 4 images do not split evenly over 3 ranks \(runtime\.ranks\)"),
        (
            {"schedule": replace(CONFIG.schedule, accumulation_steps=2)},
            4,
            "4 images do not split evenly over 4 ranks x 2 accumulation steps",
        ),
        ({"compute": ComputeConfig(compile=True)}, 2, r"compute\.compile: .*; use one rank"),
        ({"compute": ComputeConfig(cuda_graphs=True)}, 2, r"compute\.cuda_graphs: .*; use one rank"),
    ],
)
def test_what_ranks_cannot_do_is_refused_before_they_start(tmp_path, changes, ranks, words):
    with pytest.raises(TrainerError, match=words):
        train(replace(CONFIG, **changes), replace(RUNTIME, ranks=ranks), tmp_path, lambda step, metrics: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_ranks_on_cuda_agree_with_one_process(tmp_path):
    """One GPU is shared, through gloo; two are used through NCCL. cuDNN's sums vary: to 1e-3 for five steps."""
    curves = []
    for ranks in (1, 2):
        curve = []
        config = replace(CONFIG, schedule=replace(CONFIG.schedule, steps=5))
        runtime = Runtime(device="cuda", ranks=ranks, log_every_steps=1)
        train(config, runtime, tmp_path / str(ranks), lambda step, metrics, curve=curve: curve.append(metrics))
        curves.append([metrics["train/loss"] for metrics in curve if "train/loss" in metrics])
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
