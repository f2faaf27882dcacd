"""A sweep over several data sets: one command, one table; what was trained on one of them before is reused."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import api
from orchestrator.api import RunOptions, carry_out
from orchestrator.commands.plans import plans_as_text
from orchestrator.commands.status import read_status
from orchestrator.commands.status_text import NextCommands, status_as_text
from orchestrator.commands.why import describe_reasons
from orchestrator.machine.text_table import plain
from orchestrator.planning.plan import TrialSelection, plan_sweep
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.store.attempt_record import State
from orchestrator.store.run_directory import RunDirectory

MORE = Path("more.yaml")


@pytest.fixture(autouse=True)
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take seconds; `tests/reports` draws them."""
    monkeypatch.setattr("reports.figures.choose.choose", lambda *given, **named: {})


def write_space(*entries: str) -> Path:
    """The tiny search space on these data sets."""
    MORE.write_text(f"extends: tiny.yaml\nname: more\ndata: [{', '.join(entries)}]\n", encoding="utf-8")
    return MORE


OTHER = "{name: other scenes, data.synthetic.seed: 1}"


def test_one_command_gives_one_table_and_reuses_what_is_there(tiny_space: Path, quick_options: RunOptions) -> None:
    alone = api.sweep(tiny_space, options=quick_options)
    both = api.sweep(write_space("synthetic", OTHER), options=quick_options)
    started = {path.parent.name: path for path in Path("runs/trials").glob("*/trial.json")}
    assert len(started) == 8
    for trial_id, record in alone.outcomes.items():
        if record.state is State.DONE:
            assert both.outcomes[trial_id] == record
    text = both.files["markdown"].read_text(encoding="utf-8")
    assert "| Synthetic scenes: mIoU (%) ↑ |" in text
    assert "| other scenes: mIoU (%) ↑ |" in text
    assert "pixel + region memory on other scenes, seed 1: failed: E: m" in text
    assert "(6 of 8 are done)" in text
    directory = RunDirectory("runs")
    commands = NextCommands(sweep="run it", reports="", ui="")
    lines = plain(status_as_text(read_status(directory, "more", now=1e9), commands, every=True))
    assert any(line.startswith("  pixel + region memory on other scenes, seed 1 [") for line in lines)
    reasons = plain(describe_reasons(plan_sweep(read_spec(MORE), run_dir=Path("runs")), directory, every=True))
    assert sum(line.startswith("reused   w/o contrast on other scenes, seed ") for line in reasons) == 2


def test_the_rows_of_all_data_sets_can_be_selected(tiny_space: Path, quick_options: RunOptions) -> None:
    spec = read_spec(write_space("synthetic", OTHER))
    plan = plan_sweep(spec, run_dir=Path("runs"))
    outcome = carry_out(spec, plan, quick_options, lambda _: (), TrialSelection(rows=("w/o contrast",)))
    assert outcome.fulfilled
    assert {plan.record.label_of(trial_id) for trial_id in outcome.outcomes} == {
        f"w/o contrast on {name}, seed {seed}" for name in ("Synthetic scenes", "other scenes") for seed in (0, 1)
    }


def test_a_further_data_set_is_another_plan_of_the_same_sweep(tiny_space: Path, quick_options: RunOptions) -> None:
    api.sweep(write_space("synthetic", OTHER), options=quick_options)
    third = "{name: third, data.synthetic.seed: 2}"
    outcome = api.sweep(write_space("synthetic", OTHER, third), options=quick_options)
    assert len(outcome.plan.trials) == 12
    (line,) = [line for line in plain(plans_as_text(RunDirectory("runs"), "more")) if "data sets:" in line]
    assert "data sets: Synthetic scenes, other scenes -> Synthetic scenes, other scenes, third" in line
