"""The tables of the shipped ablations as a paper has them: nothing overfull, decimal points below each other."""

from itertools import pairwise
from pathlib import Path

import pytest

from reports.render.latex import render_latex, render_preview
from reports.render.latex_cells import ColumnShape
from reports.render.latex_fit import column_slots
from reports.write import make_table
from tests.reports.render.pdf_text import UNCOMPRESSED, Glyph, glyphs
from tests.reports.render.test_latex import COMPLAINT, compile_document, needs_latex
from tests.reports.shipped import FIVE, invented, planned, searched

DIGITS, POINTS = frozenset(b"0123456789"), frozenset(b".:")
"""Codes of characters; a colon is the point of TeX's math fonts."""

ARTICLE = r"""\documentclass[twocolumn]{article}
\usepackage{amssymb,array,booktabs,multirow}
\begin{document}
"""


def table_of(name):
    return make_table(invented(planned(f"ablation_{name}")), {})


def test_human_names_stand_in_the_tables():
    text = render_latex(table_of("backbone"))
    assert r"\multirow{2}{*}{EfficientNet-Lite0} & no contrast" in text
    assert "tf_efficientnet" not in text
    assert r"EfficientNet-Lite0 (ImageNet) + HRNet head, crop 64$\times$96" in render_latex(table_of("memory"))
    assert "Pixels\\\\per class" in render_latex(table_of("queue_size"))


@pytest.mark.parametrize("name", FIVE)
def test_a_fragment_is_what_an_author_would_write(name):
    text = render_latex(table_of(name))
    assert r"\resizebox" not in text
    assert r"\label{tab:" in text
    assert text.count(r"\parbox") == 1, "one legend"
    for mark in (r"\approx", "*"):
        assert (f"^{{{mark}}}" in text.partition(r"\parbox")[0]) == (f"$^{{{mark}}}$:" in text)


@pytest.mark.slow
@needs_latex
@pytest.mark.parametrize("name", FIVE)
def test_alone_decimal_points_stand_below_each_other(tmp_path, name):
    table = table_of(name)
    assert COMPLAINT.findall(compile_document(tmp_path, UNCOMPRESSED + render_preview(table))) == []
    shapes = [ColumnShape.of(slots) for slots in column_slots(table.layout)]
    numbers = [part for shape in shapes for part in (shape.mean, shape.std, shape.delta) if part.fraction]
    columns = columns_of(decimal_points(tmp_path / "paper.pdf", rows=len(table.rows)))
    assert len(columns) == len(numbers) + (name == "temperature"), "which stand in the leading column"
    for column in columns:
        assert max(column) - min(column) < 0.1, "pt"


@pytest.mark.slow
@needs_latex
def test_all_compile_in_an_article_of_two_columns(tmp_path):
    fragments = [render_latex(make_table(invented(planned(f"ablation_{name}"), lost=2), {})) for name in FIVE]
    log = compile_document(
        tmp_path, ARTICLE + "\n".join([*map(render_latex, map(table_of, FIVE)), *fragments, r"\end{document}"])
    )
    assert [line for line in COMPLAINT.findall(log) if "multiply" not in line] == []


@pytest.mark.slow
@needs_latex
def test_a_search_of_forty_trials_compiles_alone_and_in_an_article(tmp_path):
    table = make_table(invented(searched("search_temperature_weight"), stopped=12), {})
    assert "Pixels" in render_latex(table)
    assert COMPLAINT.findall(compile_document(tmp_path, render_preview(table))) == []
    log = compile_document(tmp_path, ARTICLE + render_latex(table) + r"\end{document}")
    assert COMPLAINT.findall(log) == []


def decimal_points(path: Path, rows: int) -> list[Glyph]:
    """The points between two digits in the rows of the table: lines with the most points, `rows` of them."""
    found = list(glyphs(path))
    points = [
        glyph
        for before, glyph, after in zip(found, found[1:], found[2:], strict=False)
        if glyph.code in POINTS and {before.code, after.code} <= DIGITS and abs(before.y - after.y) < 0.1
    ]
    lines: list[list[Glyph]] = []
    for point in sorted(points, key=lambda point: -point.y):
        if lines and lines[-1][-1].y - point.y < 5:
            lines[-1].append(point)
        else:
            lines.append([point])
    lines = [line for line in lines if len(line) > 1]
    assert len(lines) == rows
    return [point for line in lines for point in line]


def columns_of(points: list[Glyph]) -> list[list[float]]:
    """The places of points from left to right, those less than 2 pt apart together."""
    places = sorted(point.x for point in points)
    columns = [[places[0]]]
    for left, right in pairwise(places):
        if right - left < 2:
            columns[-1].append(right)
        else:
            columns.append([right])
    return columns
