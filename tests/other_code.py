"""Copies of the trainer with changed source, for tests of what belongs to which code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trainer import code_digest

__all__ = ["SAMPLER", "copy_trainer", "invert_sampler", "pretend_code"]

SAMPLER = "contrast/anchors.py"
"""The file that `invert_sampler` changes."""
PACKAGE = Path(code_digest.__file__).resolve().parent


def copy_trainer(folder: Path) -> Path:
    """A copy of the trainer's source as `folder`/trainer, beside the orchestrator, of which it imports a part."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE.parent / "orchestrator", folder / "orchestrator", ignore=ignored)
    return Path(shutil.copytree(PACKAGE, folder / "trainer", ignore=ignored))


def invert_sampler(package: Path) -> None:
    """Let `hard` anchors be the pixels that are classified correctly."""
    path = package / SAMPLER
    text = path.read_text(encoding="utf-8")
    assert text.count("prediction_P != label_P") == 1
    path.write_text(text.replace("prediction_P != label_P", "prediction_P == label_P"), encoding="utf-8")


def pretend_code(patch: pytest.MonkeyPatch, package: Path) -> None:
    """Let `package` count as the trainer's source in this process, until the next call or the end of the test."""
    patch.setattr(code_digest, "PACKAGE", package)
    code_digest.present_files.cache_clear()
    code_digest.present_code.cache_clear()
