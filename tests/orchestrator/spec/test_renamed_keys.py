"""Renamed keys: the old name still reads, wherever a key may be written, and a warning names the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.planning.plan import plan_sweep
from orchestrator.spec.renamed_keys import warn_once
from orchestrator.spec.sweep_spec import read_spec

NEW = "schedule.accumulation_steps"
GRID = "name: grid\nrecipe: synthetic\nmethod: grid\n"
FORMS = {
    "dotted": GRID + "fixed: {schedule.portions: 2}\nparameters: {optim.lr: {values: [0.1]}}\n",
    "nested": GRID + "fixed:\n  schedule:\n    portions: 2\nparameters: {optim.lr: {values: [0.1]}}\n",
    "parameter": GRID + "parameters:\n  schedule.portions: {values: [2]}\n",
    "condition": GRID
    + "parameters:\n  schedule.portions: {values: [2]}\n  optim.lr: {values: [0.1]}\n"
    + "when:\n  optim.lr: {schedule.portions: [2]}\n",
    "zip": GRID
    + "parameters:\n  schedule.portions: {values: [2]}\n  optim.lr: {values: [0.1]}\n"
    + "zip: [[schedule.portions, optim.lr]]\n",
}


def trial_of(folder: Path, text: str, settings: tuple[str, ...] = ()) -> str:
    warn_once.cache_clear()
    path = folder / "space.yaml"
    path.write_text(text)
    (trial,) = plan_sweep(read_spec(path, settings=settings, seeds="1"), run_dir=folder / "runs").trials
    return trial.trial_id


@pytest.mark.parametrize("form", FORMS)
def test_the_old_key_gives_the_same_trial_and_one_warning_per_place(form, tmp_path, caplog):
    new = FORMS[form].replace("schedule.portions", NEW).replace("portions", "accumulation_steps")
    expected = trial_of(tmp_path, new)
    assert not caplog.records

    assert trial_of(tmp_path, FORMS[form]) == expected
    lines = {
        f"{tmp_path / 'space.yaml'}:{number}"
        for number, line in enumerate(FORMS[form].split("\n"), 1)
        if "portions" in line
    }
    assert {record.message for record in caplog.records} == {
        f"{line}: schedule.portions: this key is now called {NEW} and its old name still works" for line in lines
    }


def test_the_old_key_of_an_assignment_reads_too(tmp_path, caplog):
    text = GRID + "parameters: {optim.lr: {values: [0.1]}}\n"
    expected = trial_of(tmp_path, text, (f"{NEW}=2",))
    assert trial_of(tmp_path, text, ("schedule.portions=2",)) == expected
    (record,) = caplog.records
    where = "--set schedule.portions=2: schedule.portions"
    assert record.message == f"{where}: this key is now called {NEW} and its old name still works"
