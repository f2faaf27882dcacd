"""classes.yaml: valid forms, and every mistake with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from trainer.data.reading.class_file import read_classes
from trainer.errors import DataError

BLOCK = """\
# my classes
names:
  - road           # grey
  - traffic light
  - 'it''s'
palette:
  - [128, 64, 128]
  - [ 0, 0, 142 ]
  - [1, 2, 3]
"""
FLOW = 'names: [road, traffic light, "it\'s"]\npalette: [[128, 64, 128], [0, 0, 142], [1, 2, 3]]\n'


@pytest.mark.parametrize("text", [BLOCK, FLOW])
def test_means_what_a_yaml_library_reads(text, tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    names, palette = read_classes(path)
    meant = YAML(typ="safe").load(text)
    assert list(names) == meant["names"] == ["road", "traffic light", "it's"]
    assert [list(colour) for colour in palette] == meant["palette"]


def test_palette_may_be_left_out(tmp_path):
    (tmp_path / "classes.yaml").write_text("names: [a, b]\n")
    assert read_classes(tmp_path / "classes.yaml") == (("a", "b"), ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no class names; write `names:`"),
        ("names:\n", "no class names"),
        ("classes: [a]\n", ":1: cannot be read;"),
        ("names: road\n", ":1: names must be a list"),
        ("names: [a, {b: c}]\n", ":1: '{b: c}' cannot be read"),
        ("names:\n  - a\n  - 1\n", ":3: '1' is not a plain name"),
        ("names:\n  - a\n  - off\n", ":3: off is not text for every YAML reader"),
        ("names: [a, b]\nnames: [c]\n", ":2: names is given twice"),
        ("names: [a, a]\n", ":1: class name 'a' is empty or repeated"),
        ("names: [a, b]\npalette:\n  - [1, 2, 3]\n", ":3: 1 colours for 2 classes"),
        ("names: [a, b]\npalette:\n  - [1, 2, 3]\n  - [1, 2, 256]\n", ":4: colour [1, 2, 256] is above 255"),
        ("names: [a, b]\npalette:\n  - [1, 2, 3]\n  - red\n", ":4: 'red' is not a colour"),
    ],
)
def test_mistakes_name_file_line_and_remedy(text, words, tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_classes(path)
    assert str(caught.value).startswith(f"{path}:")
    assert words in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"classes\.yaml: cannot be read"):
        read_classes(tmp_path / "classes.yaml")


def test_the_example_in_the_documentation_is_read(tmp_path):
    text = (Path(__file__).resolve().parents[4] / "search_spaces" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml classes\n(.*?)```", text, re.DOTALL)
    (tmp_path / "classes.yaml").write_text(example)
    assert read_classes(tmp_path / "classes.yaml") == (("road", "traffic light"), ((128, 64, 128), (250, 170, 30)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names:\n" + "  - a\n" * 20_000, "more than 100000 characters; write `names:`"),
        ("names: [" + "[" * 90_000, ":1: names must be a list"),
        ("names: [" + "{" * 90_000 + "]", ":1: '{{{"),
        ("names: [" + "a, " * 30_000 + "]", "30000 classes; labels have 8 bits"),
        ("names:\n  - 1" + "x" * 90_000, ":2: '1xxx"),
        ("names:\n  - a" + "x" * 90_000 + "\n  - a" + "x" * 90_000, "more than 100000 characters"),
        ("names: [" + "a" * 40_000 + ", " + "a" * 40_000 + "]", ":1: class name 'aaa"),
        (f"names: [a]\npalette: [[{'1' * 5000}, 2, 3]]\n", ":2: '[111"),
    ],
    ids=["long", "open", "braces", "classes", "name", "names", "twice", "digits"],
)
def test_length_has_a_bound_and_so_has_what_a_message_quotes(text, words, tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_classes(path)
    message = str(caught.value).removeprefix(str(path))
    assert words in message
    assert len(message) < 400
