"""Which factors of a sweep have no effect in a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning import unused_settings
from orchestrator.planning.plan import plan_sweep
from orchestrator.store.sweep_record import SweepRecord

ROWS = """
method: ablation
recipe: small
baseline: w/o contrast
rows:
  w/o contrast: {contrast.source: none}
  mini-batch: {contrast.memory.kind: none}
  queue: {contrast.memory.kind: pixel, contrast.memory.pixels_per_class: 50}
  longer queue: {contrast.memory.kind: pixel, contrast.memory.pixels_per_class: 70}
  cold: {contrast.temperature: 0.05}
"""


def unused(read_space: Any, tmp_path: Path, text: str) -> dict[str, tuple[str, ...]]:
    record = plan_sweep(read_space(text), run_dir=tmp_path / "runs").record
    assert SweepRecord.from_json({**record.to_json(), "unused": as_lists(record)}).unused == record.unused
    return dict(record.unused)


def as_lists(record: SweepRecord) -> dict[str, list[str]]:
    return {label: list(keys) for label, keys in record.unused.items()}


def test_what_a_row_does_not_use_is_found_by_trying(read_space: Any, tmp_path: Path) -> None:
    kind, pixels, temperature = "contrast.memory.kind", "contrast.memory.pixels_per_class", "contrast.temperature"
    assert unused(read_space, tmp_path, ROWS) == {
        "w/o contrast": (kind, pixels, temperature),
        "mini-batch": (pixels,),
    }


def test_the_baseline_of_a_search_does_not_use_what_is_drawn(read_space: Any, tmp_path: Path) -> None:
    text = (
        "method: random\nrecipe: small\ntrials: 2\nmetric: {name: val/miou}\nbaseline: {contrast.source: none}\n"
        "parameters: {contrast.temperature: {min: 0.05, max: 1.0}, optim.lr: {min: 0.01, max: 0.1}}\n"
    )
    assert unused(read_space, tmp_path, text) == {"baseline": ("contrast.temperature",)}


def test_a_large_grid_is_not_tried(read_space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unused_settings, "MOST_TRIED", 19)
    assert unused(read_space, tmp_path, ROWS) == {}


def test_a_grid_tries_each_value_few_times(read_space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    with_value = unused_settings.with_value

    def counted(block: Any, parts: Any, value: Any) -> Any:
        tried.append(parts[-1])
        return with_value(block, parts, value)

    monkeypatch.setattr(unused_settings, "with_value", counted)
    values = [round(0.01 * number, 2) for number in range(1, 31)]
    text = (
        "method: grid\nrecipe: small\nparameters:\n"
        f"  contrast.temperature: {{values: {values}}}\n  contrast.source: {{values: [none, inter_image]}}\n"
    )
    found = unused(read_space, tmp_path, text)
    assert len(found) == 30, "temperatures without contrast"
    assert set(found.values()) == {("contrast.temperature",)}
    assert len(tried) < 10 * len(values), "every row without contrast computes the same"
