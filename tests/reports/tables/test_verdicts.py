"""One verdict per pair: whatever the results are, the marks, the CSV file, the page and the trace never contradict."""

import csv
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.machine.text_table import plain
from orchestrator.store.attempt_record import State
from orchestrator.store.sweep_record import TableRecord
from reports.render.csv import render_csv
from reports.render.html import views_by_key
from reports.render.markdown import render_markdown
from reports.tables.cell_text import Mark
from reports.tables.table import build_table
from reports.trace import trace
from tests.reports.conftest import make_outcomes, make_sweep, results_of

METRICS = ("final/miou", "final/pixel_accuracy")

README = {
    "w/o contrast": [0.453752, 0.447679, 0.456934],
    "mini-batch, no memory": [0.451590, 0.449073, 0.455893],
    "pixel memory": [0.450134, 0.445142, 0.453362],
    "region memory": [0.452697, 0.451113, 0.454079],
    "pixel + region memory": [0.449412, 0.446008, 0.458377],
}
"""The values of a table of three seeds: the baseline is best, and pixel memory differs (p = 0.046)."""


def sweep_over(rows, **changes):
    return make_sweep({label: {"x": place} for place, label in enumerate(rows)}, **changes)


def test_no_cell_differs_from_the_baseline_and_is_not_distinguishable_from_the_best_which_is_the_baseline():
    table = build_table(results_of(sweep_over(README), make_outcomes(README)))
    base, _, pixel, region, _ = (row.cell_texts[0] for row in table.rows)
    assert base.rank is Mark.BEST
    assert pixel.significant
    assert Mark.ALIKE not in pixel.marks
    assert not region.significant
    assert Mark.ALIKE in region.marks


def test_three_seeds_tell_a_row_of_five_apart_that_differs_by_six_standard_deviations():
    noise = (-1.0, 0.0, 1.0)  # standard deviation 1, so that p is that of 6 * sqrt(3): 0.0091
    values = {"base": [50.0] * 3} | {f"row {number}": [50.0 + n * number / 9 for n in noise] for number in (1, 2, 3)}
    values["worse"] = [44.0 + n for n in noise]
    text = build_table(results_of(sweep_over(values), make_outcomes(values))).rows[4].cell_texts[0]
    assert text.p == pytest.approx(4 * 0.00914, rel=0.01)
    assert text.significant
    assert Mark.ALIKE not in text.marks


@st.composite
def tables(draw):
    """A sweep of any rows, seeds and outcomes, with a baseline or without, some rows sharing trials."""
    labels = [f"row {number}" for number in range(draw(st.integers(2, 6)))]
    seeds = tuple(range(draw(st.integers(1, 6))))
    outcomes = {}
    for label in labels:
        level, spread = draw(st.floats(0.2, 0.8)), draw(st.sampled_from([0.0, 1e-4, 0.01, 0.2]))
        drawn = [draw(st.floats(-1, 1)) for _ in seeds]
        kept = draw(st.integers(1, len(seeds))) if draw(st.booleans()) else len(seeds)
        outcomes[label] = [
            {key: level + spread * noise * (place + 1) for place, key in enumerate(METRICS)} for noise in drawn[:kept]
        ] + [draw(st.sampled_from([None, State.LOST, {METRICS[0]: math.nan}])) for _ in range(len(seeds) - kept)]
    shared = {labels[-1]: labels[0]} if draw(st.booleans()) else {}
    sweep = sweep_over(
        labels,
        seeds=seeds,
        shared=shared,
        baseline=draw(st.none() | st.sampled_from(labels)),
        goal=draw(st.sampled_from(["maximize", "minimize"])),
        table=TableRecord(columns=METRICS, top=draw(st.none() | st.integers(1, 6)), intervals=draw(st.booleans())),
    )
    return results_of(sweep, make_outcomes(outcomes, seeds=seeds))


@settings(max_examples=150, deadline=None)
@given(tables())
def test_the_marks_of_a_cell_never_contradict_each_other_or_another_file(results):
    table, baseline = build_table(results), results.sweep.baseline
    frame = {line["row"]: line for line in csv.DictReader(io.StringIO(render_csv(table)))}
    views = views_by_key(table)
    for place, key in enumerate(METRICS):
        best = [row.label for row in table.rows if row.cell_texts[place].rank is Mark.BEST]
        for row in table.rows:
            text = row.cell_texts[place]
            alike, differs = Mark.ALIKE in text.marks, text.significant
            assert not (alike and differs)
            assert (alike or differs) == (text.p is not None), "every test has exactly one verdict"
            if row.label == baseline:
                assert not alike
                assert not differs
            if baseline is None:
                assert not (row.label in best and (alike or differs))
                assert f"{key}.p_holm" not in frame[row.label]
                continue
            written = frame[row.label].get(f"{key}.p_holm")
            assert (float(written) <= 0.05 if written else False) == differs
            assert bool(written) == (text.p is not None)
            assert text.p is None or any("Holm" in fact for fact in views[row.label][key].facts)
            told = "\n".join(plain(trace(results, row.label, key)))
            assert ("mark      not distinguishable" in told) == alike
            if text.p is not None:
                assert f"after Holm over {text.comparison.family} " in told
                interval = text.comparison.interval
                assert (interval.low > 0 or interval.high < 0) == (text.comparison.p_t < 0.05)
                assert not differs or text.comparison.p_t <= text.p <= 0.05
    shown = render_markdown(table)
    assert ("≈: not distinguishable" in shown) == any(
        Mark.ALIKE in t.marks for row in table.rows for t in row.cell_texts
    )
