"""User text: as typed, on few lines, in characters that the font has."""

import pytest

from reports.figures.text import fitted, literal, number, under


def test_characters_the_font_lacks_become_code_points():
    assert literal("中 é Δ ±\n_x $1$ ") == "U+4E2D é Δ ± _x $1$"
    assert literal("a\x07b") == "aU+0007b"


def test_long_text_is_broken_then_cut():
    assert fitted("pixel memory", 20) == "pixel memory"
    assert fitted("mini-batch, no memory", 12) == "mini-batch,\nno memory"
    assert fitted("one two three four", 7) == "one two\nthree…"
    assert fitted("abcdefghij", 5, 1) == "abcd…"
    assert fitted("", 5) == ""
    assert all(len(part) <= 9 for part in fitted("x" * 50 + " yy", 9).split("\n"))


def test_empty_notes_take_no_line():
    assert under(3.3, "name", "", "note") == "name\nnote"
    assert under(3.3, "") == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.07, "0.07"), (5000.0, "5000"), (1e-5, "1e-05"), (0.0, "0"), (123456789.0, "123456789"), (2.5, "2.5")],
)
def test_numbers_are_written_as_in_the_file(value, text):
    assert number(value) == text
