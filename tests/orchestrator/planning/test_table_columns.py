"""A column or metric that no trial will ever have is a mistake in the file, found while planning."""

from __future__ import annotations

import pytest

from orchestrator.errors import SpecError
from orchestrator.planning.plan import plan_sweep

ROWS = "method: ablation\nrecipe: small\nrows:\n  a:\n  b: {contrast.source: none}\n"
PLAIN = "method: ablation\nrecipe: small\nfixed: {contrast.source: none}\nrows: {a: , b: {optim.lr: 0.1}}\n"
SEARCH = (
    "method: random\nrecipe: small\ntrials: 2\nmetric: [{name: val/miou}, {name: cost/train_minuts, mode: min}]\n"
    "parameters: {optim.lr: {min: 0.1, max: 0.2}}\n"
)


def messages(read_space, tmp_path, text):
    with pytest.raises(SpecError) as caught:
        plan_sweep(read_space(text), run_dir=tmp_path / "runs")
    return list(caught.value.messages)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{ROWS}table:\n  columns:\n  - final/miou\n  - final/miuo\n",
            "s.yaml:9: table.columns: no trial will report 'final/miuo'; did you mean 'final/miou'?",
        ),
        (
            f"{ROWS}table: {{columns: [final/iou/rood]}}\n",
            "s.yaml:6: table.columns: no trial will report 'final/iou/rood'; did you mean 'final/iou/road'?",
        ),
        (
            f"{ROWS}table: {{split: val, columns: [final/mean_accuracy]}}\n",
            (
                "s.yaml:6: table.columns: no trial will report 'val/mean_accuracy' for 'final/mean_accuracy' of the "
                "validation split; did you mean 'val/pixel_accuracy'?"
            ),
        ),
        (
            f"{PLAIN}table: {{columns: [contrast/purity]}}\n",
            "s.yaml:5: table.columns: no trial will report 'contrast/purity'; no row has a memory bank; remove it",
        ),
        (
            f"{PLAIN}table: {{columns: [contrast/loss]}}\n",
            "s.yaml:5: table.columns: no trial will report 'contrast/loss'; no row has a contrastive loss; remove it",
        ),
        (
            f"{ROWS}metric: {{name: val/miuo}}\n",
            "s.yaml:6: metric.name: no trial will report 'val/miuo'; did you mean 'val/miou'?",
        ),
        (
            SEARCH,
            "s.yaml:4: metric.name: no trial will report 'cost/train_minuts'; did you mean 'cost/train_minutes'?",
        ),
    ],
)
def test_what_no_trial_has_is_named_with_a_suggestion(read_space, tmp_path, text, expected):
    assert messages(read_space, tmp_path, text) == [expected]


def test_a_name_like_no_other_lists_all(read_space, tmp_path):
    (message,) = messages(read_space, tmp_path, f"{ROWS}table: {{columns: [speed]}}\n")
    assert message.startswith("s.yaml:6: table.columns: no trial will report 'speed'; choose contrast/alignment, ")
    assert message.endswith("val/pixel_accuracy or final/iou/CLASS")
    assert "road" not in message


@pytest.mark.parametrize(
    "columns", ["final/iou/road, contrast/purity, cost/gpu_hours, cost/peak_memory_gb, val/best_miou", "final/classes"]
)
def test_what_some_row_has_is_a_column(read_space, tmp_path, columns):
    text = f"{ROWS}table: {{columns: [{columns}]}}\n"
    assert plan_sweep(read_space(text), run_dir=tmp_path / "runs").record.table.columns == tuple(columns.split(", "))
