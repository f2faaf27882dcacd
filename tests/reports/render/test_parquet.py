"""Tidy Parquet: a line per row, seed and metric, gaps included."""

import io

import pandas as pd

from reports.render.parquet import render_parquet
from tests.reports.conftest import results_of


def test_every_figure_can_be_read_back_and_every_gap_is_a_line(example):
    sweep, outcomes = example.sweep, example.outcomes
    frame = pd.read_parquet(io.BytesIO(render_parquet(results_of(sweep, outcomes))))
    assert len(frame[["row", "seed"]].drop_duplicates()) == len(sweep.cells)
    done = frame[frame.state == "done"]
    for cell in sweep.cells:
        record = outcomes.get(cell.trial_id)
        lines = frame[(frame.row == cell.row) & (frame.seed == cell.seed)]
        if record is not None and record.state == "done":
            assert dict(zip(lines.metric, lines.value, strict=True)) == dict(record.metrics)
        else:
            assert lines.metric.isna().all()
            assert lines.value.isna().all()
    assert set(frame.state) == {"done", "user_error", "lost", "not_run"}
    assert set(done.commit) == {"a" * 40, "b" * 40}
    assert frame.value.notna().sum() == len(done)
