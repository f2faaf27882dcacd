"""Notes about what a search chose."""

from dataclasses import replace

import pytest

from orchestrator.store.sweep_results import SweepResults
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
