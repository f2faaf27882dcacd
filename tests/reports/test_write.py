"""Report files: all formats, written atomically."""

import pytest

from orchestrator.errors import StoreError
from orchestrator.machine import atomic_file
from orchestrator.store.records import TableRecord
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
    with pytest.raises(ValueError, match="no style 'word'; there are: markdown, latex, preview, html, csv, parquet"):
        write_reports(example, tmp_path, ["word"])


def test_published_rows_are_added_where_the_table_asks_for_them(tmp_path, sweep_of):
    sweep = sweep_of({"base": {}}, table=TableRecord(columns=("final/miou",), published="contrastiveseg_readme"))
    assert "80.18" in write_reports(results_of(sweep, {}), tmp_path)["markdown"].read_text(encoding="utf-8")
