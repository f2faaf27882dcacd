"""YAML 1.2 values, origins and the exact words for wrong syntax."""

import math
from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec.yaml_document import parse_value, parse_yaml, read_yaml, without


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("off", "off"),
        ("yes", "yes"),
        ("none", "none"),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", 1000),
        ("'3'", "3"),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("[96, 128]", [96, 128]),
        ("{a: [1, b]}", {"a": [1, "b"]}),
        ("-.inf", -math.inf),
    ],
)
def test_values_follow_yaml_1_2(text, value):
    found = parse_value(text, "--set a=b")

    assert found == value
    assert isinstance(found, type(value))


def test_nan_is_a_number():
    assert math.isnan(parse_value(".nan", "x"))


def test_every_key_and_item_has_the_line_it_is_written_on():
    document = parse_yaml(
        "# a comment\nrows:\n  w/o contrast: {contrast.source: none}\nvalues:\n  - 1\n  - 2\n", "f.yaml"
    )

    assert document.origin("rows", "w/o contrast", "contrast.source") == "f.yaml:3"
    assert document.origin("values") == "f.yaml:4"
    assert document.origin("values", 1) == "f.yaml:6"
    assert document.origin("rows", "w/o contrast", "nothing", "deeper") == "f.yaml:3"
    assert document.origin("values", 7) == "f.yaml:4"
    assert document.origin("nothing") == "f.yaml:2"


def test_a_copy_without_some_values_keeps_the_lines_and_loses_emptied_blocks():
    document = parse_yaml("a: {b: {c: 1}}\nd:\n  - 1\n  - 2\ne: {}\nf: [{g: 1}]\n", "f.yaml")

    left = without(document.values, {("a", "b", "c"), ("d", 0), ("f", 0, "g")})

    assert left == {"d": [2], "e": {}}
    assert left["d"].origins == {0: "f.yaml:4"}


def test_an_alias_repeats_a_value():
    assert parse_yaml("a: &x {b: 1}\nc: *x\n", "f.yaml").values == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_anchor_may_be_used_again():
    assert parse_yaml("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", "f.yaml").values == {"a": 1, "b": 1, "c": 2, "d": 2}


CHECK = "check indentation, colons, brackets and quotes here"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3: a: given twice (also at f.yaml:1); remove one of the two"]),
        (
            "a: {b: 1, b: 2}\nc:\n  d: 1\n  d: 2\n",
            [
                "f.yaml:1: a.b: given twice (also at f.yaml:1); remove one of the two",
                "f.yaml:4: c.d: given twice (also at f.yaml:3); remove one of the two",
            ],
        ),
        ("a:\n\tb: 1\n", ["f.yaml:2: a tab where YAML expects spaces; indent with spaces"]),
        ("a: [1\nb: 2\n", [f"f.yaml:2: not valid YAML: expected ',' or ']', but got ':'; {CHECK}"]),
        ("a: b: c\n", [f"f.yaml:1: not valid YAML: mapping values are not allowed here; {CHECK}"]),
        ("a: 1\n---\nb: 2\n", ["f.yaml:2: a second document (`---`); write one document per file"]),
        ("a: 1\nb: \x01\n", ["f.yaml:2: a control character that YAML forbids; remove it"]),
        ("a: &x [*x]\n", ["f.yaml:1: a.0: an alias to the block that contains it; write the value out"]),
        ("a: &x {b: 1}\nc: {<<: *x}\n", ["f.yaml:2: c.<<: merge keys are not supported; write the keys out"]),
        ("a: !!set {b}\n", ["f.yaml:1: a: the tag !!set is not supported; write a plain value"]),
        ("? [1]\n: 2\n", ["f.yaml:1: a key must be plain text; put it in quotes"]),
        ("- 1\n", ["f.yaml:1: not a block of `key: value` lines; see search_spaces/README.md"]),
        ("", ["f.yaml:1: not a block of `key: value` lines; see search_spaces/README.md"]),
    ],
)
def test_mistakes_are_reported_with_line_and_remedy(text, messages):
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f.yaml")

    assert list(caught.value.messages) == messages


def test_a_missing_file_is_reported_with_similar_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ablation_memory.yaml").write_text("a: 1\n")
    (tmp_path / "broken.yaml").write_bytes(b"a: \xff\n")

    def message(name):
        with pytest.raises(SpecError) as caught:
            read_yaml(Path(name))
        return str(caught.value)

    assert message("ablation_memry.yaml") == "ablation_memry.yaml: no such file; did you mean 'ablation_memory.yaml'?"
    assert message("ablation_memory") == "ablation_memory: no such file; did you mean 'ablation_memory.yaml'?"
    assert message("x.yaml") == "x.yaml: no such file; available: ablation_memory.yaml, broken.yaml"
    assert message("nowhere/x.yaml") == "nowhere/x.yaml: no such file; the directory 'nowhere' does not exist"
    assert message(".") == ".: is a directory; name a .yaml file in it"
    assert message("broken.yaml") == "broken.yaml: not UTF-8 text (invalid start byte); save it as UTF-8"


def test_a_file_keeps_its_text_and_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("\ufeffa: 1 # why\n", encoding="utf-8")

    document = read_yaml(Path("a.yaml"))

    assert document.text == "a: 1 # why\n"
    assert document.origin("a") == "a.yaml:1"
