"""`python -m orchestrator`: status, why and clean over a small store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.__main__ import main
from orchestrator.api import RunOptions
from orchestrator.store.attempt_record import AttemptRecord
from orchestrator.store.record_store import RecordStore
from orchestrator.sweep import build_parser, command_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def swept(tiny_space: Path, quick_options: RunOptions) -> Path:
    """Three trials done, one failed."""
    api.sweep(tiny_space, options=quick_options)
    return tiny_space


def test_status_counts_groups_and_names_the_debug_command(swept: Path, capsys: Capture) -> None:
    assert main(["status", "tiny.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny: 4 trials: 3 done, 0 running, 1 failed, 0 not run"
    assert "user error, 1 trial: E: m" in lines
    again = "  debug it: python -m orchestrator.sweep tiny.yaml --trial "
    assert any(line.startswith(again) for line in lines)


def test_status_as_json(swept: Path, capsys: Capture) -> None:
    assert main(["status", "tiny.yaml", "--json"]) == 1
    status = json.loads(capsys.readouterr().out)
    assert (status["sweep"], status["trials"], status["done"]) == ("tiny", 4, 3)
    assert status["failed"]["0ddba11a"]["state"] == "user_error"
    assert len(status["failed"]["0ddba11a"]["trials"]) == 1
    assert (status["running"], status["missing"]) == ([], [])


def test_status_of_a_complete_sweep_is_zero(tiny_space: Path, quick_options: RunOptions, capsys: Capture) -> None:
    assert api.sweep(tiny_space, seeds=1, options=quick_options).completed
    assert main(["status", "tiny.yaml", "--seeds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny+seeds=1: 2 trials: 2 done, 0 running, 0 failed, 0 not run"
    assert lines[-1] == "next: write the table: python -m reports tiny.yaml --seeds 1"


def test_why_counts_first_and_has_a_line_for_each_trial_with_all(swept: Path, capsys: Capture) -> None:
    assert main(["why", "tiny.yaml"]) == 0
    assert capsys.readouterr().out.startswith("tiny: 4 trials: 3 reused, 1 to run: 1 failed before\n")
    assert main(["why", "tiny.yaml", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert sorted(line.split()[0] for line in lines) == ["reused", "reused", "reused", "runs"]
    assert main(["why", "tiny.yaml", "--seeds", "1", "--set", "optim.lr=0.5", "--all"]) == 0
    line = capsys.readouterr().out.splitlines()[-2]
    assert line.startswith("runs     w/o contrast, seed 0 [")
    assert line.endswith("which differs in optim.lr: 0.01 -> 0.5")


def test_clean_lists_first_and_deletes_with_yes(
    swept: Path, make_record: Callable[..., AttemptRecord], capsys: Capture
) -> None:
    store = RecordStore("runs")
    store.start("forgotten", 1, {}, time=1.0)
    store.end(make_record("forgotten"))
    assert main(["clean"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("unreferenced trials: 1, unneeded files: 0, together 0.0 MB; --yes deletes them\n")
    assert main(["clean", "--all"]) == 0
    assert "trials/forgotten" in capsys.readouterr().out
    assert main(["clean", "--yes"]) == 0
    assert capsys.readouterr().out.startswith("deleted 1 of 1, 0.0 MB\n")
    assert not Path("runs/trials/forgotten").exists()
    assert len(list(Path("runs/trials").iterdir())) == 4


def test_ui_gets_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("orchestrator.commands.ui.serve", lambda *given: asked.append(given) or 0)
    assert main(["ui", "--port", "5001", "--tracking-uri", "sqlite:///a.db"]) == 0
    assert asked == [("sqlite:///a.db", 5001, None)]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["tiny.yaml"], "tiny.yaml"),
        (["tiny.yaml", "--json", "--only", "a row", "--trial", "0d", "--max-concurrent", "2"], "tiny.yaml"),
        (["my tiny.yaml", "--set", "a=b c", "--seeds", "3"], "'my tiny.yaml' --set 'a=b c' --seeds 3"),
        (
            ["tiny.yaml", "--run-dir", "s3://bucket/runs", "--recipe", "camvid_lite0", "--out", "tables"],
            "tiny.yaml --recipe camvid_lite0 --run-dir s3://bucket/runs --out tables",
        ),
    ],
)
def test_the_command_of_a_sweep_is_quoted_and_means_all_of_it(typed: list[str], kept: str) -> None:
    assert command_of(build_parser().parse_args(typed)) == f"python -m orchestrator.sweep {kept}"
