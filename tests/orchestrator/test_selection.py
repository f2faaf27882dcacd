"""`--only`, `--trial` and `--max-concurrent` choose what runs now; plan, table and MLflow's parent run stay whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.record_store import RecordStore
from orchestrator.store.run_directory import RunDirectory
from orchestrator.store.sweep_record import SweepRecord
from orchestrator.store.sweep_results import SweepResults
from orchestrator.sweep import main
from orchestrator.tracking.mirror import parent_status
from tests.orchestrator.test_api import SEARCH

Capture = pytest.CaptureFixture[str]
SERIAL = ("tiny.yaml", "--executor", "serial", "--out", "out")
DONE_ROW, FAILING_ROW = "w/o contrast", "pixel + region memory"

pytestmark = pytest.mark.usefixtures("quick_options")


def plan_and_table() -> tuple[object, bytes]:
    record = RunDirectory("runs").sweep("tiny").to_json()
    return record["cells"], Path("out", "tiny", "table.md").read_bytes()


def test_selected_trials_that_are_done_give_exit_code_0_and_change_neither_plan_nor_table(tiny_space: Path) -> None:
    assert main([*SERIAL]) == 1, "a trial of the other row fails"
    before = plan_and_table()
    for chosen in (["--only", DONE_ROW], ["--max-concurrent", "1", "--only", DONE_ROW]):
        assert main([*SERIAL, *chosen]) == 0
        assert plan_and_table() == before
    assert main([*SERIAL, "--only", FAILING_ROW]) == 1


def test_a_first_command_with_only_plans_the_whole_table(tiny_space: Path, capsys: Capture) -> None:
    assert main([*SERIAL, "--only", DONE_ROW]) == 0
    output = capsys.readouterr().out
    assert FAILING_ROW in Path("out", "tiny", "table.md").read_text(encoding="utf-8")
    assert len(RunDirectory("runs").sweep("tiny").cells) == 4
    assert "missing:" not in output, "nothing that was asked for is missing"


def test_the_dry_run_runs_what_is_selected(tiny_space: Path, capsys: Capture) -> None:
    assert main(["tiny.yaml", "--dry-run", "--only", DONE_ROW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "4 trials, 0 done already, 2 to run of the 2 selected"
    assert lines[-3:] == [
        "row                    done  to run      not selected",
        "w/o contrast           –     seeds 0, 1  –",
        "pixel + region memory  –     –           seeds 0, 1",
    ]
    assert main(["tiny.yaml", "--dry-run", "--json", "--only", DONE_ROW]) == 0
    entries = json.loads(capsys.readouterr().out)["trials"]
    assert [(entry["row"], entry["seed"]) for entry in entries] == [(DONE_ROW, 0), (DONE_ROW, 1)]
    assert main(["tiny.yaml", "--dry-run", "--json", "--trial", entries[0]["trial_id"][:8]]) == 0
    assert [entry["seed"] for entry in json.loads(capsys.readouterr().out)["trials"]] == [0]


@pytest.mark.parametrize("more", [["--dry-run"], ["--dry-run", "--json"], ["--executor", "serial"]])
def test_a_misspelt_row_is_one_line_and_exit_code_2(tiny_space: Path, capsys: Capture, more: list[str]) -> None:
    assert main(["tiny.yaml", "--only", "wo contrast", *more]) == 2
    assert capsys.readouterr().err == "--only wo contrast: no such row; did you mean 'w/o contrast'?\n"
    assert main(["tiny.yaml", "--trial", "zzz", *more]) == 2
    assert capsys.readouterr().err.startswith("--trial zzz: no trial of this sweep has this id")
    assert not Path("runs/sweeps").exists()


def test_a_dry_run_selects_among_the_trials_that_a_search_has_drawn(tiny_space: Path, capsys: Capture) -> None:
    tiny_space.write_text(SEARCH)
    main([*SERIAL])
    capsys.readouterr()
    assert main(["tiny.yaml", "--dry-run", "--only", "trial 1"]) == 0
    assert "1 to run of the 1 selected" in capsys.readouterr().out
    assert main(["tiny.yaml", "--dry-run", "--json", "--only", "trial 1"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["trials"]
    assert (entry["row"], entry["status"]) == ("trial 1", "user_error")
    assert entry["config"]["contrast.temperature"] > 0


@pytest.mark.parametrize(
    ("states", "completed", "status"),
    [
        ({"base0": State.DONE}, False, "SCHEDULED"),
        ({"base0": State.DONE, "full0": State.USER_ERROR}, False, "FAILED"),
        ({"base0": State.DONE, "full0": State.CANCELLED}, False, "KILLED"),
        (dict.fromkeys(("base0", "full0", "base1", "full1"), State.DONE), True, "FINISHED"),
    ],
)
def test_the_parent_run_is_red_only_if_something_failed(
    states: dict[str, State],
    completed: bool,
    status: str,
    sweep: SweepRecord,
    make_record: Callable[..., AttemptRecord],
) -> None:
    outcomes = {trial_id: make_record(trial_id, state=state) for trial_id, state in states.items()}
    assert parent_status(SweepResults(sweep=sweep, outcomes=outcomes), completed, interrupted=False) == status


def test_a_lock_is_not_left_behind_by_a_wrong_selection(tiny_space: Path) -> None:
    assert main([*SERIAL, "--only", "nobody"]) == 2
    with RecordStore("runs").lock():
        pass
