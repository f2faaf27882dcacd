"""One line that says where the reports are."""

from pathlib import Path

import pytest

from orchestrator.commands.written_files import where_written

FOLDER = Path("reports/out/tiny")


def files(**names: str) -> dict[str, Path]:
    return {style: FOLDER / name for style, name in names.items()}


PAGE = {"markdown": "table.md", "html": "table.html", "figures": "figures"}


@pytest.mark.parametrize(
    ("names", "brief", "text"),
    [
        (PAGE, True, "page: reports/out/tiny/table.html"),
        (PAGE, False, "page: reports/out/tiny/table.html; all files: reports/out/tiny"),
        ({"html": "table.html"}, False, "page: reports/out/tiny/table.html"),
        ({"csv": "table.csv"}, False, "tables: reports/out/tiny/table.csv"),
        ({"csv": "table.csv", "latex": "table.tex"}, True, "tables: reports/out/tiny (table.csv, table.tex)"),
        ({str(number): f"{number}.txt" for number in range(9)}, True, "tables: reports/out/tiny"),
    ],
)
def test_the_line_names_the_page_or_the_folder(names: dict[str, str], brief: bool, text: str) -> None:
    assert where_written(files(**names), brief=brief).plain == text


def test_a_terminal_can_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = where_written(files(html="table of 1.html"), brief=True)
    (link,) = [span.style for span in line.spans]
    assert link == f"link file://{tmp_path}/reports/out/tiny/table%20of%201.html"
