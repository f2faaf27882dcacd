"""CSV that a program can read back without loss."""

import csv
import io

import pytest

from reports.render.csv import guarded, render_csv, to_frame, unguarded
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


FORMULAS = ["=1+1", "+ memory", "-memory", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''+1", "-1", "+"]
HARMLESS = ["", "w/o contrast", "'quoted'", "a=1", "'", "''", "lr=-1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula_and_each_comes_back(text):
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay_as_they_are(text):
    assert guarded(text) == unguarded(text) == text


def test_labels_factors_and_headers_are_guarded_and_numbers_are_not(sweep_of):
    rows = {"base": {}, "=HYPERLINK(1)": {"-k": "@x", "lr": -0.5}, "+ memory": {"-k": "y"}}
    table = build_table(results_of(sweep_of(rows), {}))
    header, *lines = csv.reader(io.StringIO(render_csv(table)))
    assert [line[0] for line in lines] == ["base", "'=HYPERLINK(1)", "'+ memory"]
    assert [line[header.index("'-k")] for line in lines] == ["", "'@x", "y"]
    assert [line[header.index("lr")] for line in lines] == ["", "-0.5", ""]
    assert [unguarded(line[0]) for line in lines] == list(rows)
    assert to_frame(table)["row"].tolist() == list(rows)
