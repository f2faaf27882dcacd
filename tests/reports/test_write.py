"""Report files: all formats, written atomically."""

from dataclasses import replace

import pytest

from orchestrator.errors import StoreError, StyleError
from orchestrator.machine import atomic_file
from orchestrator.plugins.source import read_source
from orchestrator.plugins.table_style import TableStyle, read_styles
from orchestrator.store.sweep_record import TableRecord
from reports.write import write_reports
from tests.reports.conftest import results_of


def test_one_file_per_style(tmp_path, example):
    paths = write_reports(example, tmp_path / "new" / "folder")
    assert {style: path.name for style, path in paths.items()} == {
        "markdown": "table.md",
        "latex": "table.tex",
        "preview": "preview.tex",
        "html": "table.html",
        "csv": "table.csv",
        "parquet": "runs.parquet",
    }
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        path.name for path in paths.values()
    )
    assert all(path.stat().st_size for path in paths.values())


def test_only_the_styles_asked_for(tmp_path, example):
    assert list(write_reports(example, tmp_path, ["csv"])) == ["csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path, example, monkeypatch):
    write_reports(example, tmp_path, ["csv"])
    before = (tmp_path / "table.csv").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_file.Path, "replace", full)
    with pytest.raises(StoreError, match=r"table\.csv: cannot be written \(No space left on device\)"):
        write_reports(example, tmp_path, ["csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_bytes() == before


def test_an_unknown_style_lists_the_others(tmp_path, example):
    with pytest.raises(StoreError, match="no style 'word'; choose markdown, latex, preview, html, csv, parquet, or"):
        write_reports(example, tmp_path, ["word"])


def test_the_styles_of_the_sweep_are_written_and_markdown(tmp_path, example):
    sweep = replace(example.sweep, table=replace(example.sweep.table, styles=("csv", "one", "of_a_plugin_elsewhere")))
    one = TableStyle(code=lambda table: table.name, file="table_one.txt")
    paths = write_reports(replace(example, sweep=sweep), tmp_path, plugins={"one": one, "two": one})
    assert list(paths) == ["markdown", "csv", "one"]
    assert paths["one"].read_text(encoding="utf-8") == "ablation_memory"


MISTAKES = {
    "raises": ("return 1 / 0", "my_style.py:3: ZeroDivisionError: division by zero"),
    "another type": ("return table", "my_style.py:4: AttributeError: 'Table' object has no attribute 'encode'"),
    "no text": (r"return '\ud800'", "my_style.py:4: UnicodeEncodeError: "),
    "exits": ("raise SystemExit('no')", "my_style.py:3: SystemExit: no"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_style_that_raises_loses_no_other_table(tmp_path, two_data_sets, mistake):
    """It is one line with file and line; the tables of classes of the other styles are written, too."""
    body, expected = MISTAKES[mistake]
    text = f"from reports.render import TableStyle\ndef draw(table):\n    {body}\nTABLE_STYLES = {{'mine': "
    (tmp_path / "my_style.py").write_text(f"{text}TableStyle(code=draw, file='table.txt')}}\n", encoding="utf-8")
    plugins = read_styles(read_source("my_style.py", tmp_path))
    good = write_reports(two_data_sets, tmp_path / "good")
    with pytest.raises(StyleError) as caught:
        write_reports(two_data_sets, tmp_path / "out", plugins=plugins)
    assert str(caught.value).startswith(f"{tmp_path}/{expected}")
    assert str(caught.value).endswith("; the table style mine wrote no table.txt")
    assert "\n" not in str(caught.value)
    assert caught.value.written.keys() == good.keys()
    for style, path in good.items():
        if style != "html":  # which says when it was made
            assert caught.value.written[style].read_bytes() == path.read_bytes()


def test_published_rows_are_added_where_the_table_asks_for_them(tmp_path, sweep_of):
    sweep = sweep_of({"base": {}}, table=TableRecord(columns=("final/miou",), published="contrastiveseg_readme"))
    assert "80.18" in write_reports(results_of(sweep, {}), tmp_path)["markdown"].read_text(encoding="utf-8")
