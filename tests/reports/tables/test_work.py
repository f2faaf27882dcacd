"""The amount of work for a large sweep, counted, since times depend on the machine."""

import random

from reports.render.csv import render_csv
from reports.render.html import render_html
from reports.render.parquet import render_parquet
from reports.stats import comparisons
from reports.tables import aggregate as aggregate_module
from reports.tables.origin import kept
from reports.tables.table import MOST_ROWS, build_table
from tests.reports.conftest import results_of

ROWS, SEEDS = 400, (0, 1, 2)
COLUMNS = tuple(f"final/iou/class {n}" for n in range(8))


def test_work_grows_with_the_trials_and_tests_with_the_rows_shown(sweep_of, outcomes_of, monkeypatch):
    draw = random.Random(1)
    rows = {f"row {n}": {"x": n} for n in range(ROWS)}
    metrics = lambda: {key: draw.random() for key in COLUMNS}  # noqa: E731 - a new draw for each trial
    outcomes = outcomes_of({label: [metrics() for _ in SEEDS] for label in rows})
    sweep = sweep_of(rows, columns=COLUMNS, metric=COLUMNS[0])
    counts = {"values": 0, "tests": 0, "means": 0}
    read, compare, mean = aggregate_module.value_or_gap, comparisons.compare, aggregate_module.mean_of

    def counted_read(*arguments):
        counts["values"] += 1
        return read(*arguments)

    def counted_compare(*arguments, **options):
        counts["tests"] += 1
        return compare(*arguments, **options)

    def counted_mean(values):
        counts["means"] += 1
        return mean(values)

    monkeypatch.setattr(aggregate_module, "mean_of", counted_mean)
    monkeypatch.setattr(aggregate_module, "value_or_gap", counted_read)
    monkeypatch.setattr(comparisons, "compare", counted_compare)
    kept.cache_clear()
    table = build_table(results_of(sweep, outcomes))
    assert counts["values"] == ROWS * len(SEEDS) * (len(COLUMNS) + 1)  # each figure once, and once more to choose rows
    assert counts["tests"] <= 2 * (MOST_ROWS + 1) * len(COLUMNS)
    assert len(table.cells) == ROWS
    assert len(render_html(table)) < 4_000_000
    assert len(render_parquet(results_of(sweep, outcomes))) < 300_000
    counts["means"] = 0
    render_csv(table)
    assert counts["means"] == ROWS * len(COLUMNS)  # one sum for mean and spread of a cell
    assert kept.cache_info().misses <= 2  # an origin for each commit and data set, not for each trial
