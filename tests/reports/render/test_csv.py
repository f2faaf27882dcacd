"""CSV that a program can read back without loss."""

import csv
import io

from reports.render.csv import render_csv, to_frame
from reports.tables.table import build_table
from tests.reports.conftest import results_of


def test_numbers_come_back_exactly(example):
    table = build_table(example)
    lines = list(csv.DictReader(io.StringIO(render_csv(table))))
    assert [line["row"] for line in lines] == [row.label for row in table.rows]
    for line, row in zip(lines, table.rows, strict=True):
        for column, cell_text in zip(table.columns, row.cell_texts, strict=True):
            for statistic in ("mean", "std", "n", "expected", "delta"):
                text, expected = line[f"{column.key}.{statistic}"], getattr(cell_text.cell, statistic)
                assert text == "" if expected is None else float(text) == expected


def test_factors_keep_their_type(sweep_of):
    rows = {"base": {}, "a": {"k": 5000, "on": True}, "b": {"k": 0.5}}
    frame = to_frame(build_table(results_of(sweep_of(rows), {})))
    assert frame["k"].tolist() == [None, 5000, 0.5]
    assert "\na,5000,True," in render_csv(build_table(results_of(sweep_of(rows), {})))
