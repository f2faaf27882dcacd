"""Markdown that GitHub renders as intended."""

import re

import pytest

from reports.render.markdown import escape, render_markdown
from reports.tables.table import build_table
from tests.reports.conftest import results_of


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a | b", r"a \| b"),
        ("<b> & *x*", r"&lt;b&gt; &amp; \*x\*"),
        ("two\n lines", "two lines"),
        ("pixels_per_class _x_", r"pixels_per_class \_x\_"),
        ("`code` [link](x) $m$ ~~s~~ #12", r"\`code\` \[link\](x) \$m\$ \~\~s\~\~ \#12"),
        (r"back\slash", r"back\\slash"),
    ],
)
def test_escape(text, escaped):
    assert escape(text) == escaped


def test_every_line_of_the_table_has_the_same_number_of_cells(example):
    lines = [line for line in render_markdown(build_table(example)).splitlines() if line.startswith("|")]
    assert len(lines) == 10
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {7}


def test_a_cell_carries_mean_spread_mark_and_difference(example):
    text = render_markdown(build_table(example))
    assert r"**44.00** ± 0.95 <sub>+3.05\*</sub>" in text
    assert "<u>43.20</u> ± 0.74≈§ <sub>+2.25</sub>" in text
    assert "43.78 ± 1.09† <sub>+2.52</sub>" in text


def test_the_marks_that_are_used_are_one_line(example):
    notes = [line for line in render_markdown(build_table(example)).splitlines() if line.startswith("- ")]
    assert notes[0].startswith(
        "- **bold**: best of its column so far, as printed; tested against the baseline only. <u>"
    )
    assert not [line for line in notes[1:] if line.startswith(("- **", "- <", "- ≈", "- †", "- ‡", "- §", "- –"))]
    for symbol in ("≈", "†", "‡", "§", "–", "¶", r"\*"):
        assert notes[0].count(f" {symbol}: ") == 1


def test_a_mark_that_is_not_used_is_not_explained(sweep_of, outcomes_of):
    text = render_markdown(build_table(results_of(sweep_of({"a": {}}), outcomes_of({"a": [0.1, 0.2, 0.3]}))))
    for symbol in ("bold", "underlined", "subscript", "≈", "†", "‡", "§", "¶"):
        assert symbol not in text.split("| a |")[1]
