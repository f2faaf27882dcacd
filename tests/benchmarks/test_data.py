"""The loader benchmark runs on any machine and writes its figures; speed is not tested here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data
from benchmarks.process import environment
from trainer.data.files.camvid import CamVid
from trainer.data.reading.cache import DecodedCache

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_writes_its_figures(tmp_path):
    command = [sys.executable, "-m", "benchmarks.data", "--quick", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(command, cwd=PROJECT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["machine"]["cores"] == os.cpu_count()
    rows = written["figures"]
    assert all(set(row) >= {"figure", "ours", "beside", "ratio", "goal", "held"} for row in rows)
    assert [row["goal"] for row in rows] == ["at least 5x faster"] * 2 + [""] * 2
    assert [row["held"] for row in rows] == [None] * 4
    assert all(row["ratio"] == pytest.approx(row["beside"] / row["ours"]) for row in rows[:3])


def test_what_it_times_is_compared(monkeypatch, tmp_path):
    """Another crop, another colour or another label is noticed before anything is timed."""
    root = data.draw_camvid(tmp_path / "camvid", 3)
    source = CamVid(root, cache=DecodedCache(tmp_path / "cache", 10**9))
    files = source.list_part("train").pairs
    _, config = data.RECIPES["camvid_lite0"]
    data.check_equal(source, files, config)
    with monkeypatch.context() as patch:
        patch.setattr(data, "draw_start", lambda random, side, crop: int(random.random() * 0))
        with pytest.raises(RuntimeError, match="differ"):
            data.check_equal(source, files, config)
    with monkeypatch.context() as patch:
        patch.setattr(data, "jittered", lambda image, random, strength: image.point(lambda value: value // 2))
        with pytest.raises(RuntimeError, match="differ"):
            data.check_equal(source, files, config)
    monkeypatch.setattr(
        source, "decode", lambda pair: (np.zeros((360, 480, 3), np.uint8), np.zeros((360, 480), np.uint8))
    )
    with pytest.raises(RuntimeError, match="pair 0"):
        data.check_equal(source, files, config)


@pytest.mark.slow
def test_writes_what_the_loader_delivers(tmp_path, monkeypatch):
    """In this process, which has imported PyTorch."""
    monkeypatch.setattr(sys, "argv", ["data.py", "--gpu-feed", "--quick", "--json", str(tmp_path / "out.json")])
    assert data.main() == 0
    rows = json.loads((tmp_path / "out.json").read_text())["figures"]
    assert [f"{count} loader threads" in row["figure"] for count, row in enumerate(rows[:3])] == [True] * 3
    assert all("not pinned" in row["figure"] for row in rows[:3])
    assert {row["figure"].partition(",")[0] for row in rows[3:]} == {"8-bit", "source rectangle"}
    assert all(row["unit"] == "images/s" and row["ratio"] == pytest.approx(row["ours"] / row["beside"]) for row in rows)
