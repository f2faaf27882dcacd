"""Checkpoints are restored exactly; damage, another config and a crash between two renames are handled."""

from __future__ import annotations

import io
import os
import random
import re
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from trainer.archive_digest import verify_archive
from trainer.checkpoint import Checkpoint, Checkpoints, fingerprint
from trainer.code_digest import present_code
from trainer.config import ContrastConfig, DataConfig, MemoryConfig, OptimConfig, ScheduleConfig, TrainConfig

CONFIG = TrainConfig()


def make(step=3, config=CONFIG, **changes):
    fields = {
        "config": fingerprint(config),
        "code": present_code(),
        "step": step,
        "seconds": 1.5,
        "loader_seconds": 0.5,
        "best_miou": 0.25,
        "metrics": {"val/miou": 0.2},
        "model": {"a": torch.randn(50, 40), "b": torch.tensor(7)},
        "optimizer": {"state": {0: {"momentum_buffer": torch.randn(4)}}, "param_groups": [{"lr": 0.1}]},
        "contrast": {"bank": torch.randn(2, 3).half()},
    }
    return Checkpoint(**{**fields, **changes})


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path)


def test_round_trip(checkpoints):
    saved = make()
    checkpoints.save(saved)
    found = checkpoints.load(CONFIG)
    assert (found.step, found.seconds, found.best_miou, found.metrics) == (3, 1.5, 0.25, {"val/miou": 0.2})
    assert all(torch.equal(found.model[name], value) for name, value in saved.model.items())
    assert torch.equal(found.contrast["bank"], saved.contrast["bank"])
    momentum = found.optimizer["state"][0]["momentum_buffer"]
    assert torch.equal(momentum, saved.optimizer["state"][0]["momentum_buffer"])


def test_nothing_there(checkpoints):
    assert checkpoints.load(CONFIG) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(CONFIG, seed=1),
        replace(CONFIG, optim=OptimConfig(lr=0.5)),
        replace(CONFIG, schedule=ScheduleConfig(steps=301)),
        replace(CONFIG, contrast=ContrastConfig(source="none")),
    ],
)
def test_another_config_starts_afresh(checkpoints, other):
    checkpoints.save(make())
    assert checkpoints.load(other) is None


def test_another_result_version_starts_afresh(checkpoints, monkeypatch):
    checkpoints.save(make())
    monkeypatch.setattr("trainer.checkpoint.RESULT_VERSION", 999)
    assert checkpoints.load(CONFIG) is None


def test_moved_data_and_idle_knobs_are_the_same_config():
    here, there = (TrainConfig(data=DataConfig(name="camvid", root=root)) for root in ("/a", "/b"))
    assert fingerprint(here) == fingerprint(there)
    idle, plain = (TrainConfig(contrast=ContrastConfig(source="none", temperature=t)) for t in (0.5, 0.1))
    assert fingerprint(idle) == fingerprint(plain)
    capped = TrainConfig(contrast=ContrastConfig(memory=MemoryConfig(max_gigabytes=1)))
    assert fingerprint(capped) == fingerprint(TrainConfig())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def replace_content(path: Path) -> None:
    torch.save({"unrelated": 1}, path)


@pytest.mark.parametrize("damage", [cut, empty, scribble, replace_content])
def test_a_damaged_file_falls_back_to_the_one_before_then_to_nothing(checkpoints, damage):
    checkpoints.save(make(step=1))
    checkpoints.save(make(step=2))
    assert checkpoints.load(CONFIG).step == 2
    damage(checkpoints.last)
    with pytest.warns(UserWarning, match=r"last\.pt: damaged checkpoint ignored"):
        assert checkpoints.load(CONFIG).step == 1
    damage(checkpoints.previous)
    with pytest.warns(UserWarning, match="damaged"):
        assert checkpoints.load(CONFIG) is None


def test_no_flipped_bit_is_loaded_as_other_weights(checkpoints):
    """The checksums inside torch's archive do not cover its directory, and torch does not check them."""
    checkpoints.save(make(step=1))
    content = checkpoints.last.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 180):
        checkpoints.last.write_bytes(flipped(content, bit))
        with pytest.warns(UserWarning, match=r"last\.pt: damaged checkpoint ignored"):
            assert checkpoints.load(CONFIG) is None, f"bit {bit}"


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_every_flipped_bit_of_the_end_is_noticed(checkpoints):
    """There, where the digest is, no bit may turn the file into one without a digest."""
    checkpoints.save(make(step=1))
    content = checkpoints.last.read_bytes()
    for bit in range(8 * (len(content) - 100), 8 * len(content)):
        with pytest.raises(ValueError, match=r"."):
            verify_archive(io.BytesIO(flipped(content, bit)))


def test_a_file_of_before_has_no_digest_and_is_loaded(checkpoints):
    saved = make(step=4)
    torch.save({item.name: getattr(saved, item.name) for item in fields(saved)}, checkpoints.last)
    assert not verify_archive(io.BytesIO(checkpoints.last.read_bytes()))
    assert checkpoints.load(CONFIG).step == 4
    checkpoints.save(make(step=5))
    assert verify_archive(io.BytesIO(checkpoints.last.read_bytes()))
    assert not verify_archive(io.BytesIO(checkpoints.previous.read_bytes()))


def test_the_digest_is_in_the_comment_of_the_archive_so_that_any_program_reads_it(checkpoints):
    checkpoints.save_best({"a": torch.arange(3)})
    with zipfile.ZipFile(checkpoints.best) as archive:
        assert archive.testzip() is None
        assert re.fullmatch(rb"sha256:[0-9a-f]{64}", archive.comment)
    assert torch.load(checkpoints.best, weights_only=True, mmap=True)["a"].tolist() == [0, 1, 2]


@pytest.mark.timeout(30)
def test_a_pipe_is_no_checkpoint(checkpoints):
    os.mkfifo(checkpoints.last)
    with pytest.warns(UserWarning, match=r"damaged checkpoint ignored \(not a file\)"):
        assert checkpoints.load(CONFIG) is None
    checkpoints.save(make(step=1))
    assert checkpoints.load(CONFIG).step == 1


def test_a_damaged_file_does_not_push_out_a_whole_one(checkpoints):
    checkpoints.save(make(step=1))
    checkpoints.save(make(step=2))
    cut(checkpoints.last)
    with pytest.warns(UserWarning, match="damaged"):
        checkpoints.load(CONFIG)
    assert not checkpoints.last.exists()
    checkpoints.save(make(step=2))
    assert checkpoints.load(CONFIG).step == 2
    cut(checkpoints.last)
    with pytest.warns(UserWarning, match="damaged"):
        assert checkpoints.load(CONFIG).step == 1


def test_a_crash_between_the_renames_loses_nothing(checkpoints):
    checkpoints.save(make(step=1))
    checkpoints.last.replace(checkpoints.previous)
    assert checkpoints.load(CONFIG).step == 1


def test_a_crash_while_writing_leaves_the_old_one(checkpoints, monkeypatch):
    checkpoints.save(make(step=1))

    def fail(_values, file):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(make(step=2))
    assert checkpoints.load(CONFIG).step == 1


def test_a_finished_trial_keeps_weights_alone(checkpoints):
    checkpoints.save(make(step=1))
    size = checkpoints.last.stat().st_size
    checkpoints.finish(make(step=2, optimizer=None, contrast=None))
    assert not checkpoints.previous.exists()
    assert checkpoints.last.stat().st_size < size
    found = checkpoints.load(CONFIG)
    assert (found.step, found.optimizer, found.contrast) == (2, None, None)


def test_a_finished_trial_has_its_best_weights_in_the_same_file(checkpoints, tmp_path):
    checkpoints.save_best({"a": torch.arange(3.0)})
    checkpoints.finish(make(step=2))
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert torch.equal(checkpoints.load(CONFIG).best["a"], torch.arange(3.0))


def test_equal_weights_are_stored_once(checkpoints):
    weights = {"a": torch.randn(100_000)}
    checkpoints.finish(make(step=2, model=weights, optimizer=None, contrast=None))
    alone = checkpoints.last.stat().st_size
    checkpoints.save_best(weights)
    checkpoints.finish(make(step=2, model=weights, optimizer=None, contrast=None))
    assert checkpoints.last.stat().st_size < alone + 10_000
    assert torch.equal(checkpoints.load(CONFIG).best["a"], weights["a"])


@pytest.mark.parametrize("content", [None, b"cut short"])
def test_without_intact_best_weights_a_trial_finishes_all_the_same(checkpoints, content):
    if content is not None:
        checkpoints.best.write_bytes(content)
    checkpoints.finish(make(step=2))
    assert checkpoints.load(CONFIG).best is None
    assert checkpoints.best.exists() == (content is not None)


def test_best_is_a_plain_state_dict(checkpoints):
    weights = {"a": torch.randn(3)}
    checkpoints.save_best(weights)
    found = torch.load(checkpoints.best, weights_only=True)
    assert torch.equal(found["a"], weights["a"])


def test_no_partial_files_stay(checkpoints, tmp_path):
    checkpoints.save(make())
    checkpoints.save_best({"a": torch.zeros(1)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt"]
