"""What is read has bounds: size, depth and number of values, and length and number of messages.

Counts tokens, reads and characters instead of seconds.
"""

from pathlib import Path

import pytest
from ruamel.yaml.scanner import RoundTripScanner

from orchestrator.errors import LISTED, LONGEST_MESSAGE, MOST_MISTAKES, SpecError, SpecErrorCollector, shortened
from orchestrator.spec import extends, settings, yaml_document
from orchestrator.spec.extends import MAX_FILES, RECIPE, read_extended
from orchestrator.spec.settings import read_list
from orchestrator.spec.sweep_spec import read_spec
from orchestrator.spec.yaml_document import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_KEY,
    parse_value,
    parse_yaml,
    read_yaml,
)

TOO_DEEP = "blocks are nested too deeply; use fewer levels"


@pytest.fixture
def tokens(monkeypatch):
    """How many tokens are read."""
    read = []
    fetch = RoundTripScanner.fetch_more_tokens

    def counted(scanner):
        read.append(None)
        fetch(scanner)

    monkeypatch.setattr(RoundTripScanner, "fetch_more_tokens", counted)
    return read


def message(text):
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "f.yaml")
    return str(caught.value)


DEEP = {
    "lists": ("a: " + "[" * 3000, 1),
    "closed lists": ("a: " + "[" * 3000 + "]" * 3000, 1),
    "blocks in braces": ("a: " + "{b: " * 3000, 1),
    "braces over lines": ("a: " + "{\n" * 3000, MAX_DEPTH),
    "indented blocks": ("".join(" " * level + "a:\n" for level in range(900)), MAX_DEPTH + 1),
    "indented lists": ("- " * 3000, 1),
    "explicit keys": ("? " * 3000, 1),
    "a mixture": ("a:\n- " + "- [{b: " * 1000, 2),
}


@pytest.mark.parametrize(("text", "line"), DEEP.values(), ids=DEEP)
def test_what_is_nested_too_deeply_is_refused_within_the_first_tokens(text, line, tokens):
    assert message(text) == f"f.yaml:{line}: {TOO_DEEP}"
    assert len(tokens) < 10 * MAX_DEPTH


@pytest.mark.parametrize("option", ["optim.lr=" + "[" * 3000, "optim.lr=" + "{a: " * 3000])
def test_so_is_the_value_of_an_option(option, tokens, tmp_path):
    (tmp_path / "s.yaml").write_text("method: ablation\nrows: {a: {}}\n")
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path / "s.yaml", settings=[option])
    (found,) = [text for text in caught.value.messages if text.startswith("--set")]
    assert found.endswith(TOO_DEEP)
    assert len(found) < 400
    assert len(tokens) < 10 * MAX_DEPTH


def test_aliases_that_refer_to_each_other_count_as_levels():
    chain = "a0: &a0 [1]\n" + "".join(f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, 1500))
    assert message(chain).endswith(TOO_DEEP)


def test_aliases_that_multiply_count_as_values(tokens):
    last = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        last += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    assert "more than 100000 values; use fewer aliases" in message(last)
    assert len(tokens) < 1000


def test_the_deepest_setting_is_allowed():
    depth = MAX_DEPTH - 2
    assert parse_value("[" * depth + "]" * depth, "--set x") is not None


@pytest.mark.parametrize("unit", ["x", "x\n", "# x\n", " ", "[1], "])
def test_a_long_file_is_refused_before_it_is_parsed(unit, tokens, tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text("a: 1\n" + unit * (MAX_CHARACTERS // len(unit)))
    with pytest.raises(SpecError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}:1: more than {MAX_CHARACTERS} characters; use a grid, or several files"
    assert tokens == []


def test_no_more_of_a_huge_file_is_read_than_is_allowed(tmp_path):
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(10**13)  # sparse
    with pytest.raises(SpecError, match="more than 1000000 characters"):
        read_yaml(path)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "secret.yaml"
    path.write_text("a: 1\n")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SpecError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}: cannot be read (Permission denied); correct its permissions, or the path"


@pytest.mark.parametrize("width", [1, 2])
def test_files_that_extend_each_other_have_a_bound(width, tmp_path, monkeypatch):
    """A long chain, and a lattice with 2^100 paths."""
    for level in range(100):
        (tmp_path / f"{level}.yaml").write_text(f"extends: [{', '.join([f'{level + 1}.yaml'] * width)}]\n")
    (tmp_path / "100.yaml").write_text("seeds: 1\n")
    read = []
    monkeypatch.setattr(extends, "read_yaml", lambda path: read.append(path) or read_yaml(path))
    with pytest.raises(SpecError, match=r"more than 50 files or 1000000 characters in all; extend fewer files"):
        read_extended(tmp_path / "0.yaml", RECIPE)
    assert len(read) == MAX_FILES + 1


def test_the_length_of_all_files_together_has_a_bound(tmp_path):
    names = [f"{number}.yaml" for number in range(4)]
    for name in names:
        (tmp_path / name).write_text("# " + "x" * (MAX_CHARACTERS // 2) + "\nseeds: 1\n")
    (tmp_path / "s.yaml").write_text(f"extends: [{', '.join(names)}]\n")
    with pytest.raises(SpecError, match=r"s\.yaml:1: extends: more than 50 files or 1000000 characters"):
        read_extended(tmp_path / "s.yaml", RECIPE)


def test_a_long_key_is_refused():
    key = "k" * (MAX_KEY + 100)
    assert message(f"a: 1\n? {key}\n: 2\n").startswith("f.yaml:2: kkk")
    assert message(f"a: 1\n? {key}\n: 2\n").endswith("a key of more than 200 characters; write a shorter one")
    assert len(message(f"a: 1\n? {key}\n: 2\n")) < 350


VALUE = "v" * 5000
LONG = {
    "a value": f"rows: {{a: {{optim.lr: {VALUE}}}}}",
    "a list": f"rows: {{a: {{optim.lr: [{'1, ' * 2000}]}}}}",
    "a choice": f"rows: {{a: {{contrast.source: {VALUE}}}}}",
    "a label": f"rows: {{a: {{}}}}\nbaseline: {VALUE}",
    "a row of the table": f"rows: {{a: {{}}}}\ntable: {{rows: [{VALUE}]}}",
    "a name": f"rows: {{a: {{}}}}\nname: {VALUE}",
    "a tag": f"rows: {{a: !{VALUE} 1}}",
    "a number": f"rows: {{a: {{optim.lr: !!int {VALUE}}}}}",
    "a method": f"rows: {{a: {{}}}}\nmetric: {{goal: {VALUE}}}",
    "seeds": f"rows: {{a: {{}}}}\nseeds: {VALUE}",
    "many labels": "rows: {" + ", ".join(f"row {number}: {{}}" for number in range(3000)) + "}\nbaseline: no",
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_message_quotes_at_most_two_hundred_characters_of_a_value(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(f"method: ablation\nrecipe: small\n{text}\n")
    Path("recipes").mkdir()
    Path("recipes/small.yaml").write_text("schedule.steps: 10\n")
    with pytest.raises(SpecError) as caught:
        read_spec(Path("s.yaml"))
    for line in caught.value.messages:
        assert len(line) < 700, line
        assert "; " in line


@pytest.mark.parametrize("option", ["recipe", "seeds", "name", "set"])
def test_so_do_messages_about_options(option, tmp_path):
    (tmp_path / "s.yaml").write_text("method: ablation\nrecipe: small\nrows: {a: {}}\n")
    given = {"settings": [f"optim.lr={VALUE}"]} if option == "set" else {option: VALUE}
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path / "s.yaml", **given)
    assert all(len(line) < LONGEST_MESSAGE for line in caught.value.messages)
    assert VALUE not in str(caught.value)


def test_both_ends_of_a_long_text_are_kept():
    assert shortened("a" * 200) == "a" * 200
    assert shortened("a" * 150 + "b" * 1000 + "c" * 50) == "a" * 150 + " ... " + "c" * 50


def test_twenty_mistakes_are_listed_and_the_others_counted():
    error = SpecError(*(f"s.yaml:{line}: wrong; remove it" for line in range(1, 51)))
    lines = str(error).splitlines()
    assert lines[: LISTED + 1] == [
        *(f"s.yaml:{line}: wrong; remove it" for line in range(1, 21)),
        "and 30 more; correct these first",
    ]
    assert len(lines) == LISTED + 1
    assert len(error.messages) == 50
    assert len(str(SpecError(*(["s.yaml:1: wrong"] * LISTED))).splitlines()) == LISTED


def test_the_search_for_mistakes_ends_when_there_are_very_many(monkeypatch, tmp_path):
    searched = []
    unknown_key = settings.unknown_key
    monkeypatch.setattr(settings, "unknown_key", lambda key: searched.append(key) or unknown_key(key))
    rows = "".join(f"  key{number}: 1\n" for number in range(5000))
    (tmp_path / "s.yaml").write_text(f"method: ablation\nrecipe: small\nrows: {{a: {{}}}}\nfixed:\n{rows}")
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path / "s.yaml")
    assert len(searched) == MOST_MISTAKES
    assert str(caught.value).endswith("and at least 980 more; correct these first")


def test_a_collector_raises_at_the_last_mistake_it_keeps():
    errors = SpecErrorCollector()

    def refuse(number):
        raise SpecError(f"s.yaml:{number}: wrong; remove it")

    with pytest.raises(SpecError) as caught:
        errors.collect(refuse, range(10 * MOST_MISTAKES))
    assert len(caught.value.messages) == MOST_MISTAKES


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seeds: 1000000000", "s.yaml:4: seeds: more than 10000 repetitions; to use this one seed write [1000000000]"),
        (f"seeds: [{', '.join(map(str, range(10001)))}]", "s.yaml:4: seeds: more than 10000 seeds; list fewer"),
        ("seeds: [" + "7, " * 9999 + "7]", "s.yaml:4: seeds: seed 7 is given twice; remove one"),
    ],
)
def test_seeds_have_a_bound(text, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(f"method: ablation\nrecipe: r.yaml\nrows: {{a: {{}}}}\n{text}\n")
    Path("r.yaml").write_text("schedule.steps: 10\n")
    with pytest.raises(SpecError) as caught:
        read_spec(Path("s.yaml"))
    assert list(caught.value.messages) == [complaint]


def test_a_grid_has_a_bound_before_its_product_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("r.yaml").write_text("schedule.steps: 10\n")
    values = ", ".join(str(number / 1000) for number in range(1, 1001))
    factors = "".join(f"  {key}: {{values: [{values}]}}\n" for key in ("optim.lr", "optim.weight_decay"))
    Path("s.yaml").write_text(f"method: grid\nrecipe: r.yaml\nparameters:\n{factors}")
    with pytest.raises(SpecError, match="1000000 combinations, more than 100000; list fewer values"):
        read_spec(Path("s.yaml"))
    skip = ", ".join(f"{{optim.lr: {number / 1000}}}" for number in range(1, 1001))
    less = (
        factors.splitlines()[0] + "\n  model.dropout: {values: [" + ", ".join(f"0.{n:03d}" for n in range(90)) + "]}\n"
    )
    Path("s.yaml").write_text(f"method: grid\nrecipe: r.yaml\nparameters:\n{less}skip: [{skip}]\n")
    with pytest.raises(SpecError) as caught:
        read_spec(Path("s.yaml"))
    complaint = "s.yaml:6: skip: 1000 entries for 90000 combinations; list fewer values, or fewer entries"
    assert list(caught.value.messages) == [complaint]


def test_many_values_are_compared_by_hash():
    values = [number / 1_000_000 for number in range(1, 20_001)]
    found = read_list("optim.lr", [*values, values[0]], lambda *position: f"s.yaml:{position}")
    assert len(found.settings) == 20_000
    (twice,) = found.mistakes
    assert "is listed twice; remove one" in twice


def test_the_bounds_leave_room_for_large_sweeps():
    rows = "".join(f"  row {number}: {{optim.lr: {number / 1e6}}}\n" for number in range(1, 10_001))
    assert len(f"rows:\n{rows}") < MAX_CHARACTERS
    assert yaml_document.MAX_VALUES > 2 * 10_000
