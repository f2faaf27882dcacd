"""The live view: values as in the table, no line longer than the terminal, no broken word."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.planning.cost_forecast import ExpectedTrial
from orchestrator.running.task import Task
from orchestrator.store.attempt_record import AttemptRecord, Point, State
from orchestrator.store.sweep_record import PlannedRun, Row, SweepRecord
from orchestrator.tracking.live_view import LiveView
from orchestrator.tracking.progress import SweepProgress
from orchestrator.tracking.short_label import short_label

WIDTHS = [60, 80, 120]
ROWS = (
    "w/o contrast",
    "mini-batch, no memory",
    "pixel memory",
    "region memory",
    "pixel + region memory with a label of many words that fits nowhere at all",
)
MakeTask, MakeRecord = Callable[..., Task], Callable[..., AttemptRecord]


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plan(sweep: SweepRecord) -> SweepRecord:
    """Five rows with three seeds."""
    cells = tuple(
        PlannedRun(row=row, seed=seed, trial_id=f"{number}-{seed}")
        for seed in range(3)
        for number, row in enumerate(ROWS)
    )
    rows = tuple(Row(label=row, factors={}) for row in ROWS)
    return replace(sweep, name="ablation_memory", rows=rows, seeds=(0, 1, 2), cells=cells, baseline=ROWS[0])


@pytest.fixture
def progress(plan: SweepRecord, clock: Clock) -> SweepProgress:
    return SweepProgress(plan, {}, dict.fromkeys(plan.trial_ids, ExpectedTrial(steps=180)), clock=clock)


@pytest.fixture
def in_the_middle(progress: SweepProgress, clock: Clock, make_task: MakeTask, make_record: MakeRecord) -> SweepProgress:
    """Six trials have ended, one has failed, two run."""
    for number in range(5):
        run(progress, f"{number}-0", make_task, clock)
        progress.ended(make_task(f"{number}-0"), make_record(f"{number}-0", final__miou=0.3 + number / 100))
    run(progress, "0-1", make_task, clock)
    progress.ended(make_task("0-1"), make_record("0-1", final__miou=0.32))
    run(progress, "1-1", make_task, clock)
    progress.ended(make_task("1-1"), make_record("1-1", state=State.USER_ERROR))
    run(progress, "2-1", make_task, clock, last=120)
    run(progress, "4-1", make_task, clock, last=60)
    return progress


def run(progress: SweepProgress, trial_id: str, make_task: MakeTask, clock: Clock, last: int = 180) -> None:
    task = make_task(trial_id, steps=180)
    progress.started(task)
    for step in range(20, last + 20, 20):
        clock.now += 4
        progress.reported(task, Point(step=step, metrics={"train/loss": 0.8125, "val/miou": 0.3102}))


def lines_of(progress: SweepProgress, width: int, height: int = 40, **environment: str) -> list[str]:
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, record=True, _environ=environment
    )
    console.print(LiveView(progress))
    return [line.rstrip() for line in console.export_text().splitlines()[1:]]  # the first is empty


def words_of(progress: SweepProgress) -> set[str]:
    """What may stand in the view."""
    wide = " ".join(lines_of(progress, 400))
    return {*wide.split(), *" ".join(ROWS).split(), "…", "and", "more", *map(str, range(20))}


@pytest.mark.parametrize("width", WIDTHS)
def test_lines_fit_and_no_word_is_broken(in_the_middle: SweepProgress, width: int) -> None:
    lines = lines_of(in_the_middle, width)
    assert max(map(cell_len, lines)) <= width
    whole = words_of(in_the_middle)
    found = {word for line in lines for word in line.split() if not set(word) <= set("━╸╺")}
    assert found <= whole


@pytest.mark.parametrize("width", WIDTHS)
def test_values_are_those_of_the_table(in_the_middle: SweepProgress, width: int) -> None:
    lines = lines_of(in_the_middle, width)
    head = " ".join(lines[:2])
    assert head.startswith("ablation_memory: 6 of 15 done, 2 running, 1 failed, ")
    assert re.search(r", [\d.]+-[\d.]+ min left, \d+ min elapsed", head)
    assert not any(re.search(r"\d$", line) for line in lines[:2]), "a number stays with its unit"
    running = next(line for line in lines if line.startswith("pixel memory, seed 1"))
    assert "120/180" in running
    assert " 31.02 " in running, "per cent"
    assert running.endswith(" s"), "its time left"
    assert ("0.812" in running) == (width > 60), "the loss gives way first"
    (baseline,) = [line for line in lines if line.startswith("w/o contrast") and "/180" not in line]
    assert re.fullmatch(r"w/o contrast +2/3  31\.00 ± 1\.41", baseline)
    (best,) = [line for line in lines if line.endswith("best so far")]
    assert best.startswith("pixel + region memory"[: 5 if width == 60 else None])
    assert "34.00" in best
    assert sum("31.00" in line for line in lines) == 2, "the baseline, and one seed of the second row"


def test_many_rows_give_way_to_the_best(
    sweep: SweepRecord, clock: Clock, make_record: MakeRecord, make_task: MakeTask
) -> None:
    rows = tuple(Row(label=f"row {number}", factors={}) for number in range(200))
    cells = tuple(PlannedRun(row=row.label, seed=0, trial_id=row.label) for row in rows)
    outcomes = {row.label: make_record(row.label, final__miou=number / 1000) for number, row in enumerate(rows[:-1])}
    todo = {"row 199": ExpectedTrial(steps=180)}
    progress = SweepProgress(replace(sweep, rows=rows, cells=cells), outcomes, todo, clock=clock)
    run(progress, "row 199", make_task, clock, last=60)
    lines = lines_of(progress, 80, height=24)
    assert len(lines) < 24
    assert next(line for line in lines if line.endswith("best so far")).split()[:3] == ["row", "198", "1/1"]
    assert re.fullmatch(r"and \d+ more", lines[-1])


def test_many_running_trials_leave_room_for_the_means(progress: SweepProgress, make_task: MakeTask) -> None:
    for trial_id in progress.sweep.trial_ids:
        progress.started(make_task(trial_id, steps=180))
    lines = lines_of(progress, 80, height=20)
    assert len(lines) < 20
    assert any(re.fullmatch(r"and \d+ more", line) for line in lines)
    assert any(line.startswith("row ") for line in lines)


def test_what_is_being_started_is_said(progress: SweepProgress, clock: Clock, make_task: MakeTask) -> None:
    def second_line() -> str:
        clock.now += 3
        lines = lines_of(progress, 80)
        assert not re.search("estimating|0 running", " ".join(lines))
        return lines[1]

    progress.preparing("starting Ray")
    assert second_line() == "starting Ray · 3 s"
    progress.preparing("importing torch (once per node)")
    assert second_line() == "importing torch (once per node) · 3 s"
    progress.started(make_task("0-0", steps=180))
    assert second_line() == "importing torch (once per node) · 6 s"
    progress.preparing("")
    assert second_line() == "first step of w/o contrast, seed 0 · 3 s"
    progress.reported(make_task("0-0"), Point(step=10, metrics={"train/loss": 1.0}))
    assert second_line() == "", "nothing keeps it any more"


def test_nothing_started_yet(progress: SweepProgress, clock: Clock) -> None:
    clock.now += 2
    assert lines_of(progress, 80)[1] == "starting the first trial · 2 s"


def test_a_search_before_its_first_draw(sweep: SweepRecord, clock: Clock) -> None:
    progress = SweepProgress(replace(sweep, rows=(), cells=(), baseline=None), {}, {}, clock=clock, rows=10)
    assert lines_of(progress, 80) == ["tiny: 0 of 10 done, 0 s elapsed", "starting the first trial · 0 s"]


@pytest.mark.parametrize("width", range(8, 60))
@pytest.mark.parametrize("label", ["pixel + region memory, seed 2", "w/o contrast, seed 0", "記憶 なし, seed 1"])
def test_a_short_label_fits_and_keeps_its_seed(label: str, width: int) -> None:
    short = short_label(label, width)
    assert cell_len(short) <= width
    if cell_len(label) <= width:
        assert short == label
    elif width >= cell_len(label.split()[0]) + len(" … seed 2"):
        assert short.endswith(label[-7:]), "which seed"
        assert set(short.split()) <= {*label.split(), "…"}, "no word is broken"


def test_a_word_that_is_too_long_is_cut_in_its_middle() -> None:
    assert short_label("contrast.memory.pixels_per_class=5000", 20) == "contrast.…class=5000"
