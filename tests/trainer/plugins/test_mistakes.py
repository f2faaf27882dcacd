"""Every mistake in a plugin is one line that begins with the file and the line of the plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.plugins.error import PluginError
from trainer.plugins.loading import read_plugin

HEAD = """from dataclasses import dataclass
from trainer.plugins import Entry, MetricEntry
def code(*arguments, options=None): ...
"""

OPTIONS = HEAD + "@dataclass(frozen=True, kw_only=True)\nclass Options:\n    {field}\n"
TABLE = 'MINERS = {"mine": Entry(code=code, options=Options)}\n'

MISTAKES = {
    "no table": (HEAD, "plugin.py:1: the plugin has no table; define one of ANCHOR_SAMPLERS, MINERS"),
    "misspelt table": (HEAD + "MINER = {}\n", "plugin.py:1: the plugin has no table; did you mean MINERS?"),
    "not a dictionary": (HEAD + "MINERS = [code]\n", "plugin.py:4: MINERS: must be a dictionary with an entry; write"),
    "empty table": (HEAD + "MINERS = {}\n", "plugin.py:4: MINERS: must be a dictionary with an entry"),
    "a function": (
        HEAD + 'MINERS = {\n  "mine": code,\n}\n',
        "plugin.py:5: MINERS['mine']: must be of type Entry, not function; write",
    ),
    "no function": (
        HEAD + 'MINERS = {"mine": Entry(code=3)}\n',
        "plugin.py:4: MINERS['mine']: code must be a function",
    ),
    "name of ours": (
        HEAD + 'MINERS = {"random": Entry(code=code)}\n',
        "plugin.py:4: MINERS['random']: the trainer has",
    ),
    "no name": (HEAD + "MINERS = {3: Entry(code=code)}\n", "plugin.py:4: MINERS[3]: must be named with letters"),
    "metric without MetricEntry": (
        HEAD + 'METRICS = {"f1": Entry(code=code)}\n',
        "plugin.py:4: METRICS['f1']: must be of type MetricEntry, not Entry",
    ),
    "direction": (
        HEAD + 'METRICS = {"f1": MetricEntry(code=code, direction="left")}\n',
        "plugin.py:4: METRICS['f1']: direction must be up or down, not 'left'",
    ),
    "options of another kind": (
        HEAD + "class Options: ...\n" + TABLE,
        "plugin.py:5: MINERS['mine']: options must be a dataclass; write @dataclass(frozen=True, kw_only=True)",
    ),
    "not frozen": (
        HEAD + "@dataclass(kw_only=True)\nclass Options:\n    a: int = 1\n" + TABLE,
        "plugin.py:5: Options: must be frozen",
    ),
    "positional": (
        HEAD + "@dataclass(frozen=True)\nclass Options:\n    a: int = 1\n" + TABLE,
        "plugin.py:6: Options.a: must be keyword-only",
    ),
    "no type": (
        OPTIONS.format(field="width = 3") + TABLE,
        "plugin.py:6: Options.width: has no type; write for example",
    ),
    "unknown type": (
        OPTIONS.format(field="a: 'Missing' = 1") + TABLE,
        "plugin.py:5: Options: a type cannot be resolved",
    ),
    "type without key": (
        OPTIONS.format(field="a: dict = None") + TABLE,
        "plugin.py:6: Options.a: a key cannot have the",
    ),
    "no default": (
        OPTIONS.format(field="a: int") + TABLE,
        "plugin.py:6: Options.a: has no default; write `a: int = ...`",
    ),
    "wrong default": (
        OPTIONS.format(field="a: int = 'x'") + TABLE,
        "plugin.py:6: Options.a: the default 'x' is not of",
    ),
    "key of ours": (
        OPTIONS.format(field="positives: int = 1") + TABLE,
        "plugin.py:6: Options.positives: contrast.mining.positives is a key of the trainer; rename it",
    ),
    "default that it refuses": (
        OPTIONS.format(field="a: int = 0\n    def __post_init__(self):\n        raise ValueError('a: too small')")
        + TABLE,
        "plugin.py:5: Options: refuses its own defaults (a: too small); give legal defaults",
    ),
    "misspelt table of styles": (
        HEAD + "TABLE_STYLE = {}\n",
        "plugin.py:1: the plugin has no table; did you mean TABLE_",
    ),
    "raises": (HEAD + "\n1 / 0\n", "plugin.py:5: ZeroDivisionError: division by zero; the plugin cannot be imported"),
    "exits": (HEAD + "raise SystemExit('no')\n", "plugin.py:4: SystemExit: no; the plugin cannot be imported"),
    "import": ("import no_such_module\n", "plugin.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": (HEAD + "def f(:\n", "plugin.py:4: invalid syntax; this is not Python source"),
    "broken file beside": ("import beside\n", "beside.py:2: NameError: name 'nothing' is not defined"),
    "file beside that does not parse": ("import unparsable\n", "unparsable.py:1: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(mistake: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[mistake]
    (tmp_path / "plugin.py").write_text(text, encoding="utf-8")
    (tmp_path / "beside.py").write_text("a = 1\nnothing\n", encoding="utf-8")
    (tmp_path / "unparsable.py").write_text("def\n", encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        read_plugin("plugin.py", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/{expected}")
    assert "\n" not in str(caught.value)


def test_no_file_and_no_module(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no such file .*/absent\.py; give a path"):
        read_plugin("absent.py", tmp_path)
    with pytest.raises(PluginError, match="no module no_such_module in Python source is installed"):
        read_plugin("no_such_module", tmp_path)
