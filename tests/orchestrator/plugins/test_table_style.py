"""Table styles of plugins: what is read, and every mistake in them as one line with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.plugins.error import PluginError
from orchestrator.plugins.source import read_source
from orchestrator.plugins.table_style import FILES, add_styles, read_styles
from reports.write import FORMATS

HEAD = """from reports.render import TableStyle
def draw(table): return ""
"""
GOOD = HEAD + 'TABLE_STYLES = {"mine": TableStyle(code=draw, file="table.txt")}\n'


def entry(name: str = '"mine"', code: str = "draw", file: str = "'table.txt'") -> str:
    return f"{HEAD}TABLE_STYLES = {{\n    {name}: TableStyle(code={code}, file={file}),\n}}\n"


MISTAKES = {
    "not a dictionary": (HEAD + "TABLE_STYLES = [draw]\n", "plugin.py:3: TABLE_STYLES: must be a dictionary with an"),
    "empty": (HEAD + "TABLE_STYLES = {}\n", "plugin.py:3: TABLE_STYLES: must be a dictionary with an entry; write"),
    "a function": (
        HEAD + 'TABLE_STYLES = {"mine": draw}\n',
        "plugin.py:3: TABLE_STYLES['mine']: must be of type TableStyle, not function; write",
    ),
    "no function": (entry(code="3"), "plugin.py:4: TABLE_STYLES['mine']: code must be a function, not int"),
    "no name": (entry(name="3"), "plugin.py:4: TABLE_STYLES[3]: must be named with letters, digits and _"),
    "name with a slash": (entry(name="'a/b'"), "plugin.py:4: TABLE_STYLES['a/b']: must be named with letters"),
    "name of ours": (entry(name="'html'"), "plugin.py:4: TABLE_STYLES['html']: the reports have a style of this"),
    "file elsewhere": (
        entry(file="'../table.txt'"),
        "plugin.py:4: TABLE_STYLES['mine']: file must be like 'table.txt' or 'table_mine.txt', not '../table.txt'",
    ),
    "no file": (entry(file="None"), "plugin.py:4: TABLE_STYLES['mine']: file must be like"),
    "file of ours": (
        entry(file="'table.MD'"),
        "plugin.py:4: TABLE_STYLES['mine']: file 'table.MD' is that of the style markdown; write for example 'table_mi",
    ),
    "one file twice": (
        GOOD.replace("{", '{"a": TableStyle(code=draw, file="table.TXT"), '),
        "plugin.py:3: TABLE_STYLES['mine']: the style at ",
    ),
    "raises": (HEAD + "1 / 0\n", "plugin.py:3: ZeroDivisionError: division by zero; the plugin cannot be imported"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(mistake: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[mistake]
    (tmp_path / "plugin.py").write_text(text, encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        read_styles(read_source("plugin.py", tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/{expected}")
    assert "\n" not in str(caught.value)


def test_two_plugins_cannot_have_one_name_or_one_file(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "second.py").write_text(GOOD.replace("mine", "other"), encoding="utf-8")
    first, second = (read_styles(read_source(name, tmp_path)) for name in ("first.py", "second.py"))
    place = f"{tmp_path}/second.py:3: TABLE_STYLES"
    with pytest.raises(PluginError, match=rf"^{place}\['other'\]: the style at {tmp_path}/first.py:3 has this file"):
        add_styles(first, second)
    (tmp_path / "second.py").write_text(GOOD.replace("table.txt", "table_2.txt"), encoding="utf-8")
    with pytest.raises(PluginError, match=rf"^{place}\['mine'\]: the style at {tmp_path}/first.py:3 has this name"):
        add_styles(first, read_styles(read_source("second.py", tmp_path)))
    assert add_styles(first, first) == first, "a plugin that two files name is one"


def test_a_plugin_without_styles(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(HEAD, encoding="utf-8")
    assert read_styles(read_source("plugin.py", tmp_path)) == {}


def test_the_reports_have_the_styles_that_the_specification_knows() -> None:
    assert tuple(FILES) == FORMATS
