"""The trials that `--only` and `--trial` select."""

from __future__ import annotations

import pytest

from orchestrator.errors import SweepError
from orchestrator.planning.plan import TrialSelection
from orchestrator.store.sweep_record import SweepRecord


@pytest.mark.parametrize(
    ("rows", "trials", "found"),
    [
        (["without"], [], {"base0", "base1"}),
        ([], ["full0", "base1"], {"full0", "base1"}),
        (["without"], ["full0"], {"base0", "base1", "full0"}),
        ([], ["base2"], {"base2"}),
    ],
)
def test_rows_and_trials_are_selected(rows: list[str], trials: list[str], found: set[str], sweep: SweepRecord) -> None:
    """Of a plan with the trials base0, full0, base1 and full1, which may still get base2."""
    assert TrialSelection(rows=tuple(rows), trials=tuple(trials)).of(sweep, ["base2"]) == found


@pytest.mark.parametrize(
    ("rows", "trials", "message"),
    [
        (["nobody"], [], "--only nobody: no such row; choose with | pipe, without"),
        (["witout"], [], "--only witout: no such row; did you mean 'without'?"),
        ([], ["x"], "--trial x: no trial of this sweep has this id; `--dry-run --json` lists them"),
        ([], ["base"], "--trial base: 2 trials have this id; `--dry-run --json` lists them"),
    ],
)
def test_an_unknown_row_or_id_is_reported(rows: list[str], trials: list[str], message: str, sweep: SweepRecord) -> None:
    with pytest.raises(SweepError) as caught:
        TrialSelection(rows=tuple(rows), trials=tuple(trials)).of(sweep)
    assert str(caught.value) == message
