"""`python -m orchestrator doctor`: one line a check in the order of the table, whatever the checks do."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from orchestrator.__main__ import main
from orchestrator.doctor.checks import checks_for
from orchestrator.doctor.examine import examine, findings_as_json, summary
from orchestrator.doctor.finding import Check, Problem, Question
from orchestrator.errors import StoreError


def raising(error: BaseException) -> Check:
    """A check that raises."""

    def check(_question: Question) -> str:
        raise error

    return check


def test_every_answer_is_a_line_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "swordfish")
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    hanging = threading.Event()
    checks: dict[str, Check] = {
        "slow": lambda _: (hanging.wait(0.05) and "") or "two\nlines, postgresql://me:secret@host/db",
        "problem": raising(Problem("it is\nbroken by swordfish", "repair\nit")),
        "refusal": raising(StoreError("runs: unreadable; correct its mode")),
        "defect": raising(KeyError("x")),
        "exit": raising(SystemExit("a library ends the program")),
        "hanging": lambda _: str(hanging.wait(60)),
    }
    found = list(examine(Question(), checks, answer_seconds=2.0))
    hanging.set()
    assert [finding.line for finding in found] == [
        "ok       slow: two lines, postgresql://host/db",
        "problem  problem: it is broken by ***; repair it",
        "problem  refusal: runs: unreadable; correct its mode",
        "problem  defect: the check failed (KeyError: 'x'); please report it",
        "problem  exit: the check failed (SystemExit: a library ends the program); please report it",
        "problem  hanging: no answer in 2 s; a file system or a server hangs; try another folder or address",
    ]
    assert summary(found) == "6 checks, 5 problems: problem, refusal, defect, exit, hanging"
    assert summary(found[:1]) == "1 checks, no problems"
    assert json.loads(findings_as_json(found))[1] == {
        "name": "problem",
        "ok": False,
        "text": "it is broken by ***",
        "remedy": "repair it",
    }


def test_a_check_without_an_answer_on_a_busy_machine_blames_no_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (12.0, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    hanging = threading.Event()
    (found,) = examine(Question(), {"slow": lambda _: str(hanging.wait(60))}, answer_seconds=0.05)
    hanging.set()
    expected = "no answer in 0.05 s, at a load of 12 on 2 CPUs; run it again when other programs need less"
    assert found.line == f"problem  slow: {expected}"


def test_the_command_has_a_line_for_each_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["doctor", "ablation_memory", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [finding["name"] for finding in found] == list(checks_for(Question()))
    assert code == (0 if all(finding["ok"] for finding in found) else 1)
    answers = {finding["name"]: finding["text"] for finding in found}
    assert "ablation_memory: 6 configurations" in answers["search space"]
    assert answers["data"] == "synthetic"
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind
