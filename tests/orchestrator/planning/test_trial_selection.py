"""The trials that `--only` and `--trial` select."""

from __future__ import annotations

import pytest

from orchestrator.errors import SweepError
from orchestrator.planning.plan import SweepPlan, Trial, TrialSelection
from orchestrator.store.records import SweepRecord
from trainer.config import TrainConfig


@pytest.fixture
def known(sweep: SweepRecord) -> SweepPlan:
    """A plan of the trials base0, full0, base1, full1."""
    trials = tuple(Trial(trial_id=trial_id, config=TrainConfig()) for trial_id in sweep.trial_ids)
    return SweepPlan(record=sweep, trials=trials)


@pytest.mark.parametrize(
    ("rows", "trials", "found"),
    [
        (["without"], [], {"base0", "base1"}),
        ([], ["full0", "base1"], {"full0", "base1"}),
        (["without"], ["full0"], {"base0", "base1", "full0"}),
    ],
)
def test_rows_and_trials_are_selected(rows: list[str], trials: list[str], found: set[str], known: SweepPlan) -> None:
    assert TrialSelection(rows=tuple(rows), trials=tuple(trials)).of(known) == found


@pytest.mark.parametrize(
    ("rows", "trials", "message"),
    [
        (["nobody"], [], "--only nobody: no such row; there are: with | pipe, without"),
        ([], ["x"], "--trial x: no trial of this sweep has this id; `--dry-run --json` lists them"),
        ([], ["base"], "--trial base: 2 trials have this id; `--dry-run --json` lists them"),
    ],
)
def test_an_unknown_row_or_id_is_reported(rows: list[str], trials: list[str], message: str, known: SweepPlan) -> None:
    with pytest.raises(SweepError) as caught:
        TrialSelection(rows=tuple(rows), trials=tuple(trials)).of(known)
    assert str(caught.value) == message
