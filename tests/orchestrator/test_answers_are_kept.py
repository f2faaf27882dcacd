"""A later command or edit takes nothing away from a finished sweep: trials, plan and table stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.__main__ import main as orchestrator
from orchestrator.store.run_directory import RunDirectory
from orchestrator.sweep import main as sweep

pytestmark = pytest.mark.usefixtures("quick_options")
SERIAL = ("tiny.yaml", "--executor", "serial", "--out", "out")


def trial_ids() -> set[str]:
    return set(RunDirectory("runs").files.names("trials"))


def table_of(name: str) -> bytes:
    return Path("out", name, "table.md").read_bytes()


@pytest.fixture
def finished(tiny_space: Path) -> tuple[set[str], bytes]:
    """The trials and the table of a finished sweep."""
    sweep([*SERIAL])
    return trial_ids(), table_of("tiny")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--set", "schedule.steps=6"], "tiny+steps=6"),
        (["--seeds", "1"], "tiny+seeds=1"),
        (["--only", "w/o contrast", "--seeds", "1"], "tiny+seeds=1"),
        (["--set", "schedule.steps=6", "--name", "look"], "look"),
    ],
)
def test_a_quick_look_takes_nothing_away(options: list[str], name: str, finished: tuple[set[str], bytes]) -> None:
    assert sweep([*SERIAL, *options]) in (0, 1)
    assert orchestrator(["clean", "--yes"]) == 0
    assert finished[0] <= trial_ids()
    assert table_of("tiny") == finished[1]
    assert table_of(name) != finished[1]
    assert RunDirectory("runs").sweep_names() == sorted(["tiny", name])


def test_an_edit_of_the_file_keeps_the_trials_of_before(finished: tuple[set[str], bytes]) -> None:
    recipe = Path("tiny_recipe.yaml")
    recipe.write_text(recipe.read_text().replace("steps: 8", "steps: 6"))
    sweep([*SERIAL])
    assert orchestrator(["clean", "--yes"]) == 0
    assert finished[0] < trial_ids()
    assert len(RunDirectory("runs").kept_plans("tiny")) == 2
