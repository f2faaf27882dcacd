"""One function says what ends a trial: the dry run, `status` and the result of a sweep agree about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.__main__ import main
from orchestrator.api import SweepOutcome
from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.sweep_spec import SweepSpec
from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.sweep import main as sweep

SPACES = {
    "ablation": "method: ablation\nrecipe: small\nrows: {a: {}}\n",
    "grid": "method: grid\nrecipe: small\nparameters: {optim.lr: {values: [0.1]}}\n",
    "random": "method: random\nrecipe: small\ntrials: 3\nbaseline: {optim.lr: 0.1}\n"
    "parameters: {optim.lr: {min: 0.1, max: 1}}\n",
}
SPACES["scheduler"] = SPACES["random"] + "scheduler: {kind: asha}\n"
"""Search spaces whose plan is a single trial."""
ENDS = {("scheduler", State.STOPPED), *((method, State.DONE) for method in SPACES)}
"""Method and state of the trials that do not run again."""


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("method", SPACES)
def test_everybody_agrees_whether_a_trial_has_to_run(
    method: str,
    state: State | None,
    read_space: Callable[..., SweepSpec],
    make_record: Callable[..., AttemptRecord],
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_sweep(read_space(SPACES[method]), run_dir=Path("runs"))
    (trial,) = plan.trials
    store = RecordStore("runs")
    store.write_sweep(plan.record)
    if state is not None:
        store.end(replace(make_record(trial.trial_id, state=state), error=None))
    results = RunDirectory("runs").results("s")
    must_run = (method, state) not in ENDS

    assert sweep(["s.yaml", "--dry-run"]) == 0
    assert f"{int(must_run)} to run" in capsys.readouterr().out
    assert main(["status", "s.yaml"]) == int(must_run)
    assert SweepOutcome(plan=plan, outcomes=results.outcomes, files={}).completed is not must_run
    assert results.unfinished == (trial.trial_id,) * must_run
