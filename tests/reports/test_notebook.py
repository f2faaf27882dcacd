"""Frames and Stylers for notebooks."""

import pytest

import reports


def test_the_frames_equal_the_records(tmp_path, store, example):
    store(tmp_path, example)
    table = reports.frame("ablation_memory", tmp_path)
    assert table.loc[table.row == "pixel memory", "final/miou.delta"].item() == pytest.approx(0.0225333, abs=1e-6)
    runs = reports.runs("ablation_memory", tmp_path)
    assert set(runs.row) == {row.label for row in example.sweep.rows}


def test_the_styler_shows_the_printed_table_and_escapes(tmp_path, store, example):
    store(tmp_path, example)
    page = reports.styled("ablation_memory", tmp_path).to_html()
    assert "44.00 ± 0.95 (+3.05*)" in page
    assert "pixel &amp; region &lt;memory&gt;" in page
    assert "font-weight: bold" in page


def test_the_styler_explains_the_marks_that_it_shows(tmp_path, store, example):
    store(tmp_path, example)
    page = reports.styled("ablation_memory", tmp_path).to_html()
    caption = page[page.index("<caption>") : page.index("</caption>")]
    for part in ("Bold: best of its column", "Underlined: second best.", "In brackets: mean difference", "≈: not dist"):
        assert part in caption
    assert "<u>" not in caption
