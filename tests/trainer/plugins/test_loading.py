"""Plugins are loaded from their text: digests, files beside them, several versions, other processes, and errors."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.plugins.loading import place_in_plugin
from orchestrator.plugins.source import read_source
from trainer.plugins.loading import load, read_plugin

PLUGIN = '''"""A miner."""
import beside
import folder.deep as deep, folder.deep
from folder import deep as same
from trainer.plugins import Entry


def mine(context):
    """A docstring."""
    import beside as late  # while it runs

    assert deep is same is folder.deep
    return beside.NUMBER + deep.NUMBER + late.NUMBER + context


MINERS = {"mine": Entry(code=mine)}
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugin.py").write_text(PLUGIN, encoding="utf-8")
    (tmp_path / "beside.py").write_text("NUMBER = 1\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/deep.py").write_text("from .more import NUMBER\n", encoding="utf-8")
    (tmp_path / "folder/more.py").write_text("NUMBER = 10\n", encoding="utf-8")
    (tmp_path / "unrelated.py").write_text("1 / 0\n", encoding="utf-8")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def digest(folder: Path) -> str:
    return read_source("plugin.py", folder).digest


def test_what_counts_is_the_code_of_the_plugin_and_of_what_it_imports_beside_it(folder: Path) -> None:
    first = digest(folder)
    assert sorted(name for name, _ in read_source("plugin.py", folder).files) == [
        *("beside.py", "folder/deep.py", "folder/more.py", "plugin.py")
    ]
    edit(folder / "plugin.py", "# while it runs", "# another comment")
    edit(folder / "plugin.py", "A docstring.", "Another docstring.")
    edit(folder / "unrelated.py", "1 / 0", "2 / 0")
    (folder / "plugin.py").rename(folder / "renamed.py")
    assert read_source("renamed.py", folder).digest == first
    (folder / "renamed.py").rename(folder / "plugin.py")
    edit(folder / "folder/more.py", "10", "20")
    second = digest(folder)
    edit(folder / "plugin.py", "+ context", "- context")
    assert len({first, second, digest(folder)}) == 3


def test_one_process_runs_two_versions(folder: Path) -> None:
    first = read_plugin("plugin.py", folder)
    edit(folder / "beside.py", "1", "100")
    second = read_plugin("plugin.py", folder)
    assert [plugin.tables["MINERS"]["mine"].code(0) for plugin in (first, second, first)] == [12, 210, 12]
    assert "beside" not in sys.modules, "a file beside a plugin hides no module of others"


def test_another_process_needs_no_file(folder: Path) -> None:
    source = pickle.dumps(read_source("plugin.py", folder))
    for path in folder.rglob("*.py"):
        path.unlink()
    code = "import pickle, sys; from trainer.plugins.loading import load; "
    code += (
        "print(load(pickle.loads(sys.stdin.buffer.read())).tables['MINERS']['mine'].code(5), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=source, capture_output=True, check=True)
    assert done.stdout.split() == [b"17", b"False"], (
        "and neither torch nor the trainer's models, unless it imports them"
    )


def test_an_error_while_it_runs_has_its_place(folder: Path) -> None:
    code = load(read_source("plugin.py", folder)).tables["MINERS"]["mine"].code
    with pytest.raises(TypeError) as caught:
        code("text")
    line = PLUGIN.splitlines().index("    return beside.NUMBER + deep.NUMBER + late.NUMBER + context") + 1
    assert place_in_plugin(caught.value) == f"{folder}/plugin.py:{line}"
    above = RuntimeError("above")
    above.__cause__ = caught.value
    assert place_in_plugin(above) == f"{folder}/plugin.py:{line}"
    assert place_in_plugin(ValueError("of nobody")) == ""


def test_an_installed_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its name and its digest travel; the modules of its own package count."""
    package = folder / "site/own_methods"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "numbers.py").write_text("NUMBER = 3\n", encoding="utf-8")
    text = "from own_methods.numbers import NUMBER\nfrom trainer.plugins import Entry\n"
    (package / "miners.py").write_text(text + "MINERS = {'three': Entry(code=lambda c: NUMBER)}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder / "site")
    plugin = read_plugin("own_methods.miners", folder)
    assert plugin.tables["MINERS"]["three"].code(0) == 3
    assert plugin.source.files == ()
    edit(package / "numbers.py", "3", "4")
    assert read_source("own_methods.miners", folder).digest != plugin.source.digest
