"""The line under a table says how many of its records are what was written; a damaged record is never a value."""

import json
from dataclasses import replace

import pytest

from orchestrator.machine.sealed_json import unseal
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_results import Verification
from reports.sources.run_directory import load_sweep
from reports.tables.aggregate import Gap
from reports.tables.table import build_table
from reports.tables.verification import verification_text
from reports.write import make_table

NAME = "ablation_memory"


@pytest.fixture
def directory(tmp_path, store, example):
    store(tmp_path, example)
    return RunDirectory(tmp_path)


def attempt(directory, trial_id):
    return directory.trial_folder(trial_id) / "attempt_001.json"


def notes(directory):
    return [note.text for note in build_table(load_sweep(directory, NAME)).notes]


def test_all_records_are_verified(directory, example):
    count = len(example.outcomes)
    assert f"{count} of {count} records verified." in notes(directory)


def test_one_flipped_digit_is_no_value_and_changes_no_other(directory, example):
    """0.43 -> 0.93 made another row the best of the table."""
    before = make_table(load_sweep(directory, NAME))
    path = attempt(directory, "region memory#0")
    text = path.read_text(encoding="utf-8")
    value = str(example.outcomes["region memory#0"].metrics["final/miou"])
    assert value in text
    path.write_text(text.replace(value, value.replace("0.4", "0.9")), encoding="utf-8")
    after = make_table(load_sweep(directory, NAME))
    cell = after.cells["region memory"][0]
    assert cell.gaps[0] is Gap.DAMAGED
    assert [
        row
        for row in before.cells
        if row != "region memory" and before.cells[row][0].values != after.cells[row][0].values
    ] == []
    (missing,) = [run for run in after.missing_runs if run.gap is Gap.DAMAGED]
    reason = "trials/region memory#0/attempt_001.json: damaged record (its content does not match its digest)"
    assert (missing.rows, missing.seed) == (("region memory",), 0)
    assert missing.reason == f"damaged: DamagedRecord: {reason}"
    count = len(example.outcomes)
    assert f"{count - 1} of {count} records verified; not used: {reason}." in [note.text for note in after.notes]


def test_files_of_before_give_the_same_cells_and_are_marked(directory, example):
    before = make_table(load_sweep(directory, NAME))
    for path in [attempt(directory, "region memory#0"), directory.local_folder / "sweeps" / NAME / "sweep.json"]:
        path.write_text(json.dumps(unseal(path.read_bytes()).values), encoding="utf-8")
    after = make_table(load_sweep(directory, NAME))
    assert after.cells == before.cells
    count = len(example.outcomes)
    expected = f"{count - 1} of {count} records verified; 1 record and the plan unverified (written without a digest)."
    assert expected in [note.text for note in after.notes]


def test_what_the_line_says_of_a_copy_of_many_and_of_none(directory, example):
    assert verification_text(example) == "", "results that were made up"
    copy = replace(example, verification=Verification(copy="MLflow"))
    assert verification_text(copy) == "Figures from MLflow, which holds a copy of the records: not verified."
    for trial_id in list(example.outcomes)[:5]:
        attempt(directory, trial_id).write_bytes(b"{")
    text = verification_text(load_sweep(directory, NAME))
    assert text.startswith(f"{len(example.outcomes) - 5} of {len(example.outcomes)} records verified; not used: ")
    assert text.count("damaged record (not JSON") == 3
    assert text.endswith(" and 2 more.")
