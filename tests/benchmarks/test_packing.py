"""The packing benchmark plans the sweeps that it describes, and rejects results that differ. Needs no GPU."""

from __future__ import annotations

import sys

import pytest
import torch

from benchmarks import packing
from orchestrator.api import plan


@pytest.mark.parametrize("device", packing.WAYS)
def test_all_ways_are_one_sweep_of_eight_trials(device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(packing.TINY_RECIPE)
    planned = {}
    for name, way in packing.WAYS[device].items():
        text = packing.SPACE.format(recipe="./tiny.yaml", seeds=packing.TRIALS // 2, gpus=way.gpus, cpus=way.cpus)
        (tmp_path / "packing.yaml").write_text(text)
        planned[name] = [trial.trial_id for trial in plan("packing.yaml").trials]
    assert planned["packed"] == planned["alone"] == planned["quarters"]
    assert len(planned["packed"]) == packing.TRIALS


def test_packing_is_compared_with_one_after_another():
    seconds = {"packed": 10.0, "alone": 30.0, "quarters": 12.0}
    first, second = packing.compare(seconds, counts=True)
    assert (first.ratio, first.held) == (3.0, True)
    assert (second.ratio, second.held) == (1.2, None)
    assert packing.compare({**seconds, "alone": 24.0}, counts=True)[0].held is False
    assert len(packing.compare({"packed": 10.0, "alone": 30.0}, counts=True)) == 1, "the short run has no quarters"


def test_other_trials_or_other_figures_are_noticed():
    same = {"packed": {"a": 0.5, "b": 0.6}, "alone": {"a": 0.6, "b": 0.5}}
    packing.check_same(same, 0.0)
    with pytest.raises(RuntimeError, match=r"differs: packed 0\.5500, alone 0\.6000"):
        packing.check_same({**same, "alone": {"a": 0.6, "b": 0.6}}, 0.01)
    with pytest.raises(RuntimeError, match="same trials"):
        packing.check_same({**same, "alone": {"a": 0.5, "c": 0.6}}, 1.0)


@pytest.mark.parametrize("options", [[], ["--device", "cpu"]])
def test_it_is_for_gpus(options, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["packing.py", *options])
    with pytest.raises(SystemExit) as ended:
        packing.main()
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
