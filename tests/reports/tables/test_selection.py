"""Marks and notes about what was chosen, and on which split."""

from dataclasses import replace

import pytest

from orchestrator.store.attempt_record import AttemptRecord, State
from orchestrator.store.sweep_results import SweepResults
from reports.render.html import render_html
from reports.render.latex import render_latex
from reports.render.markdown import render_markdown
from reports.tables.cell_text import Mark
from reports.tables.selection import prior_notes
from reports.tables.table import build_table
from tests.reports.conftest import make_sweep


@pytest.mark.parametrize(
    ("prior", "text"), [([{"optim.lr": 0.1}], "one finished trial"), ([{}] * 3, "3 finished trials")]
)
def test_trials_that_only_the_sampler_knew_are_counted_in_a_note(prior, text):
    search = replace(make_sweep({"a": {}}), method="tpe", search={"prior": prior})
    notes = [note.text for note in build_table(SweepResults(sweep=search, outcomes={})).notes]
    assert [note for note in notes if text in note and "sampler" in note]


def test_without_them_there_is_no_note():
    sweep = make_sweep({"a": {}})
    assert list(prior_notes(sweep)) == []
    assert list(prior_notes(replace(sweep, search={"prior": []}))) == []


def search_table(columns, *, baseline="base", **changes):
    """A search of two trials beside a baseline, all done."""
    sweep = make_sweep({"base": {}, "trial 0": {}, "trial 1": {}}, seeds=(0,), columns=columns)
    objectives = [{"name": "val/miou", "goal": "maximize"}]
    search = {"objectives": objectives, "scheduler": None} | changes.pop("search", {})
    sweep = replace(sweep, method="tpe", metric="val/miou", baseline=baseline, search=search, **changes)
    metrics = {
        "final/miou": 0.4,
        "val/miou": 0.5,
        "val/best_miou": 0.6,
        "cost/train_minutes": 1.0,
        "final/iou/car": 0.3,
    }
    outcomes = {
        run.trial_id: AttemptRecord(
            trial_id=run.trial_id, attempt=1, state=State.DONE, started_at=0, ended_at=1, metrics=metrics
        )
        for run in sweep.cells
    }
    return build_table(SweepResults(sweep=sweep, outcomes=outcomes))


def marked(table):
    """Columns by label of the rows in which they have the mark."""
    return {
        row.label: [
            column.key for column, text in zip(table.columns, row.cell_texts, strict=True) if Mark.CHOSEN in text.marks
        ]
        for row in table.rows
    }


COLUMNS = ("final/miou", "val/miou", "val/best_miou", "cost/train_minutes")


def test_what_a_search_chose_by_is_marked_but_not_its_baseline():
    table = search_table(COLUMNS, val_overlaps_test=False)
    chosen = ["val/miou", "val/best_miou"]
    assert marked(table) == {"base": [], "trial 0": chosen, "trial 1": chosen}
    (note,) = [note.text for note in table.notes if note.mark is Mark.CHOSEN]
    assert note.startswith("chosen on this split: ")


def test_on_the_reported_split_the_reported_figure_is_marked():
    table = search_table(COLUMNS, val_overlaps_test=True)
    everything = ["final/miou", "val/miou", "val/best_miou"]
    assert marked(table) == {"base": ["val/best_miou"], "trial 0": everything, "trial 1": everything}
    assert "‖" in render_markdown(table)
    assert r"$^{\|}$" in render_latex(table)
    assert "‖" in render_html(table)


def test_a_search_by_the_reported_figure_marks_it():
    table = search_table(COLUMNS, search={"objectives": [{"name": "final/miou"}]}, val_overlaps_test=False)
    assert marked(table)["trial 0"] == ["final/miou"]


def test_a_scheduler_chooses_too():
    by_cost = {"objectives": [{"name": "final/miou"}], "scheduler": {"kind": "asha"}}
    table = search_table(COLUMNS, search=by_cost, val_overlaps_test=False)
    assert marked(table)["trial 1"] == ["final/miou", "val/miou", "val/best_miou"]
    assert any("stopped others early" in note.text for note in table.notes)


def test_a_plan_of_an_older_version_is_known_by_the_names_of_its_splits():
    settings = {"data.test_split": "val"}
    assert "final/miou" in marked(search_table(COLUMNS, settings=settings))["trial 0"]
    assert "final/miou" not in marked(search_table(COLUMNS))["trial 0"]


@pytest.mark.parametrize("overlaps", [True, False])
def test_in_an_ablation_only_a_best_checkpoint_is_chosen(overlaps):
    sweep = replace(make_sweep({"a": {}, "b": {}}, columns=COLUMNS), val_overlaps_test=overlaps)
    outcomes = {
        run.trial_id: AttemptRecord(
            trial_id=run.trial_id,
            attempt=1,
            state=State.DONE,
            started_at=0,
            ended_at=1,
            metrics={"final/miou": 0.4 + run.seed / 10, "val/miou": 0.5, "val/best_miou": 0.6},
        )
        for run in sweep.cells
    }
    assert marked(build_table(SweepResults(sweep=sweep, outcomes=outcomes)))["a"] == ["val/best_miou"] * overlaps
