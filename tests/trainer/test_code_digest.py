"""The digest of the trainer's code: changed by whatever could change a figure, and by nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.other_code import SAMPLER, copy_trainer, invert_sampler
from trainer import code_digest
from trainer.code_digest import (
    NOT_COUNTED,
    PACKAGE,
    codes_in,
    equal_codes,
    joined,
    normalised,
    present_code,
    present_files,
    source_digests,
)
from trainer.config import RESULT_VERSION

SOURCE = '''
"""What it is."""
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    """A config."""

    rate: float = 0.1
    """Per step."""

def half(x):
    return x * 0.5  # of it
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  # of it", ""),
        ('    """Per step."""\n', ""),
        ('    """A config."""\n', '    """Another text."""\n'),
        ('"""What it is."""\n', ""),
        ("x * 0.5", "(\n        x * 0.5\n    )"),
        ("0.5", "5e-1"),
        ("rate: float = 0.1", "rate:float=0.1"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(before: str, after: str) -> None:
    assert before in SOURCE
    assert normalised(SOURCE.replace(before, after)) == normalised(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.5", "0.25"),
        ("x * 0.5", "0.5 * x"),
        ("rate: float", "rate: int"),
        ("rate: float = 0.1", "rate: float"),
        ("frozen=True", "frozen=False"),
        ("return x * 0.5", "x * 0.5"),
    ],
)
def test_everything_else_counts(before: str, after: str) -> None:
    assert before in SOURCE
    assert normalised(SOURCE.replace(before, after)) != normalised(SOURCE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the trainer."""
    return copy_trainer(tmp_path)


def test_an_inverted_sampler_is_seen_and_named(copy: Path) -> None:
    invert_sampler(copy)
    changed, present = source_digests(copy), present_files()
    assert [name for name in present if changed[name] != present[name]] == [SAMPLER]


def test_a_comment_in_every_file_is_not_seen(copy: Path) -> None:
    for path in copy.rglob("*.py"):
        path.write_text(f"# a comment\n\n{path.read_text(encoding='utf-8')}\n\n", encoding="utf-8")
    assert source_digests(copy) == present_files()


def test_an_added_and_a_removed_file_are_seen_but_no_hidden_one_and_no_draft_is_an_error(copy: Path) -> None:
    (copy / ".#step.py").symlink_to("nowhere")  # the lock file of an editor
    assert source_digests(copy) == present_files()
    (copy / "draft.py").write_text("def half(:\n", encoding="utf-8")
    (copy / "average.py").unlink()
    assert source_digests(copy).keys() ^ present_files().keys() == {"draft.py", "average.py"}


def test_what_is_not_counted_exists_and_has_a_reason() -> None:
    for name, reason in NOT_COUNTED.items():
        assert (PACKAGE / name).exists(), name
        assert reason


TRAIN = """
import hashlib, json, sys
from pathlib import Path
import torch
from trainer import Runtime, train
from trainer.config import *

config = TrainConfig(
    data=DataConfig(
        crop=(32, 64), synthetic=SyntheticConfig(train_images=4, val_images=2, test_images=2, height=32, width=64)
    ),
    model=ModelConfig(backbone="timm/test_resnet", head_channels=16),
    contrast=ContrastConfig(embedding_dim=16, keys_per_class=10, warmup_fraction=0.25,
                            anchors=AnchorConfig(per_class=6), mining=MiningConfig(positives=8, negatives=16),
                            memory=MemoryConfig(pixels_per_class=20, regions_per_class=8, pixels_per_image=2)),
    schedule=ScheduleConfig(steps=4, batch_size=2, eval_every_steps=2),
)
points = []
result = train(config, Runtime(device="cpu", log_every_steps=1), Path(sys.argv[1]), lambda *point: points.append(point))
model = torch.load(Path(sys.argv[1]) / "last.pt", weights_only=True)["model"]
weights = hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.values())).hexdigest()
metrics = {key: value for key, value in result.metrics.items() if not key.startswith("cost/")}
print(json.dumps([repr(points), repr(metrics), weights]))
"""
"""Trains a tiny trial with every part that a training step has; prints its figures and its weights' digest."""

PICTURES = """
PICTURE_FOLDER = "pictures"
def draw_pictures(*given):
    return ()
"""
"""In place of `trainer.pictures`, which the training state imports and calls after the figures."""


@pytest.mark.slow
def test_a_trial_gives_the_same_bits_without_the_files_that_do_not_count(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in this process, which has all of them."""
    for name in NOT_COUNTED:
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (copy / "pictures.py").write_text(PICTURES, encoding="utf-8")
    (copy / "code_digest.py").write_text(
        'def present_code(): return "x"\ndef equal_codes(): return ("x",)\n'
        'def joined(codes): return "x"\ndef codes_in(text): return (text,)\n',
        encoding="utf-8",
    )
    reduced = subprocess.run(
        [sys.executable, "-P", "-c", TRAIN, str(tmp_path / "reduced")],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert reduced.returncode == 0, reduced.stderr
    monkeypatch.setattr(sys, "argv", ["-c", str(tmp_path / "whole")])
    exec(compile(TRAIN, "train", "exec"), {})  # noqa: S102
    assert json.loads(reduced.stdout) == json.loads(capsys.readouterr().out)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A list of equal code, to be set."""
    monkeypatch.setattr(code_digest, "EQUAL_RESULT_VERSION", RESULT_VERSION)
    return monkeypatch


def test_proven_code_is_equal_only_if_the_present_code_is_in_the_list(listed: pytest.MonkeyPatch) -> None:
    listed.setattr(code_digest, "EQUAL_CODE", (("x",), ("a", present_code(), "b")))
    assert equal_codes() == (present_code(), "a", "b")
    listed.setattr(code_digest, "EQUAL_CODE", (("a", "b"),))
    assert equal_codes() == (present_code(),)
    listed.setattr(code_digest, "EQUAL_CODE", (("a", present_code()),))
    listed.setattr(code_digest, "EQUAL_RESULT_VERSION", RESULT_VERSION - 1)
    assert equal_codes() == (present_code(),)


def test_several_digests_are_one_text() -> None:
    assert joined(["a", "b", "a"]) == "a+b"
    assert codes_in("a+b") == ("a", "b")
    assert codes_in("") == ()


def test_packages_that_lie_apart_have_the_same_digest(tmp_path: Path) -> None:
    """Ray unpacks each package into a folder of its own."""
    for name in ("trainer", "orchestrator"):
        shutil.copytree(PACKAGE.parent / name, tmp_path / name / name)
    places = os.pathsep.join(str(tmp_path / name) for name in ("trainer", "orchestrator"))
    code = "import trainer.code_digest as code; print(code.PACKAGE, code.present_code())"
    command = [sys.executable, "-P", "-c", code]
    output = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": places}, check=True
    )
    assert output.stdout.split() == [str(tmp_path / "trainer" / "trainer"), present_code()]
