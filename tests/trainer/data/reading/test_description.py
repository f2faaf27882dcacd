"""classes.yaml: valid forms, what they mean, and every mistake with its line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from trainer.data.reading.description import KEYS, read_description
from trainer.data.reading.label_codes import colour_code
from trainer.data.reading.membership import Folders, Lists, Shares, by_shares
from trainer.data.source import UNNAMED
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
FLOW = 'names: [road, traffic light, "it\'s"]\npalette: [[128, 64, 128], 0 0 142, "1, 2, 3"]\n'


def described(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(text)
    return read_description(tmp_path / "classes.yaml")


@pytest.mark.parametrize("text", [BLOCK, FLOW])
def test_names_and_palette_alone_are_the_default_layout(text, tmp_path):
    found = described(tmp_path, text)
    assert found.class_names == ("road", "traffic light", "it's")
    assert found.palette == ((128, 64, 128), (0, 0, 142), (1, 2, 3))
    assert (found.images.text, found.labels.text) == ("images/{split}/*.{jpg,jpeg,png}", "labels/{split}/{stem}.png")
    assert found.codes.plain
    assert (found.title, found.splits, found.image_range) == (UNNAMED, Folders({}), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("splits: [train, val]", Folders({"train": "train", "val": "val"})),
        ("splits: {train: training, val: validation}", Folders({"train": "training", "val": "validation"})),
    ],
)
def test_splits_of_folders(text, expected, tmp_path):
    assert described(tmp_path, f"names: [a, b]\n{text}\n").splits == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{train: a.txt, val: lists/val.txt}", Lists({"train": "a.txt", "val": "lists/val.txt"})),
        ("{train: [a, 1], val: [b]}", Lists({"train": ("a", "1"), "val": ("b",)})),
        ("{train: 0.5, val: 0.5, seed: 3}", Shares({"train": 0.5, "val": 0.5}, 3)),
        ("{train: 1}", Shares({"train": 1.0}, 0)),
    ],
)
def test_splits_of_lists_and_shares(text, expected, tmp_path):
    patterns = "images: img/*.png\nlabels: mask/{stem}.png\n"
    assert described(tmp_path, f"names: [a, b]\n{patterns}splits: {text}\n").splits == expected


@pytest.mark.parametrize(
    ("text", "classes", "ignored"),
    [
        ("", {0: 0, 1: 1}, (255,)),
        ("ignore: [0, 255]\nmap: {1: a, 7: b, 8: b}", {1: 0, 7: 1, 8: 1}, (0, 255)),
        ("map: {0: a, 255: b}", {0: 0, 255: 1}, ()),
        ("map: {3: a, 4: b}", {3: 0, 4: 1}, (255,)),
        ("map: {3: b, 4: a}\nignore: others", {3: 1, 4: 0}, None),
        ("reduce_zero_label: true", {1: 0, 2: 1}, (0, 255)),
        ("reduce_zero_label: true\nignore: [9]", {1: 0, 2: 1}, (0, 9, 255)),
        ("ignore: []", {0: 0, 1: 1}, ()),
        ("ignore: [-1, 255]", {0: 0, 1: 1}, (-1, 255)),
        ("map: {1 2 3: a, '4, 5, 6': b, [7, 8, 9]: b}", {66051: 0, 263430: 1, 460809: 1}, ()),
        ("map: palette\npalette: [[1, 2, 3], [4, 5, 6]]\nignore: [[0, 0, 0]]", {66051: 0, 263430: 1}, (0,)),
    ],
)
def test_what_ids_and_colours_mean(text, classes, ignored, tmp_path):
    codes = described(tmp_path, f"names: [a, b]\n{text}\n").codes
    assert (dict(codes.classes), codes.ignored) == (classes, ignored)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty; write at least `names: [road, car]`"),
        ("[]", ":1: not a block of `key: value` lines"),
        ("name: x", "no class names; write for example `names: [road, car]`"),
        ("names:\n", ":1: names: None is not a list with items; write for example [road, car]"),
        ("classes: [a]\n", ":1: 'classes': unknown key; choose name, names, palette"),
        ("name: [a, b]\nnames: [a]", ":1: name: ['a', 'b'] is not a name"),
        ("image: x", ":1: 'image': unknown key; did you mean 'images'?"),
        ("names: road\n", ":1: names: 'road' is not a list"),
        ("names:\n  - a\n  - 1\n", ":3: names: 1 is not text; put the name in quotes"),
        ("names:\n  - a\n  - true\n", ":3: names: True is not text; put the name in quotes"),
        ("names: [a, b]\nnames: [c]\n", ":2: 'names' is given twice (also in line 1); keep one"),
        ("names: [a, a]\n", ":1: names: 'a' is empty, too long or repeated"),
        ("names: [a, &x b, *x]\n", ":1: an alias; write the value out"),
        ("names: [a, !!set b]\n", ":1: the tag !!set is not supported"),
        ("names: [a\n", "not valid YAML: "),
        ("names: [a, b]\npalette:\n  - [1, 2, 3]\n", ":2: palette: 1 colours for 2 classes"),
        ("names: [a, b]\npalette:\n  - [1, 2, 3]\n  - [1, 2, 256]\n", ":4: palette: [1, 2, 256] is not a colour"),
        ("names: [a, b]\npalette:\n  - [1, 2, 3]\n  - red\n", ":4: palette: 'red' is not a colour"),
        ("names: [a, b]\nname: ''\n", ":2: name: '' is not a name of at most 100 characters"),
        ("names: [a, b]\nimages: x/*.png\n", ":2: images: given without labels; add for example labels: labels/"),
        (
            "names: [a, b]\nimages: x/*.dcm\nlabels: y/{stem}.png\n",
            ":2: images: .dcm files cannot be read here; convert",
        ),
        ("names: [a, b]\nimages: x/*.png\nlabels: y/{stem}.jpg\n", ":3: labels: .jpg files cannot be read here"),
        ("names: [a, b]\nimages: ../x/*.png\nlabels: y/{stem}.png\n", ":2: images: '../x/*.png' is not a path below"),
        ("names: [a, b]\nimages: x/*.png\nlabels: y/{name}.png\n", ":3: labels: unknown word {name}"),
        ("names: [a, b]\nimages: x/*.png\nlabels: y/{stem.png\n", ":3: labels: a single brace"),
        ("names: [a, b]\nimages: x/*.png\nlabels: y/a.png\n", ":3: labels: one file for all images; use {stem}"),
        (
            "names: [a, b]\nimages: x/*.png\nlabels: '{split}/{stem}.png'\n",
            ":3: labels: has {split}, but images has not",
        ),
        (
            "names: [a, b]\nimages: 3\nlabels: y/{stem}.png\n",
            ":2: images: 3 is not a pattern; write for example images/",
        ),
        (
            "names: [a, b]\nimages: x/*.png\nlabels: y/{stem}.png\n",
            ":2: images: has no {split}, and there are no splits",
        ),
        ("names: [a, b]\nsplits: train", ":2: splits: 'train' is no list and no block"),
        ("names: [a, b]\nsplits: {train: 0.5, val: x}", ":2: splits: must be all folders, all lists"),
        ("names: [a, b]\nsplits: {train: true}", ":2: splits: must be all folders, all lists"),
        ("names: [a, b]\nsplits: {train: 0.5, val: 0.5}", ":2: splits: shares choose among all images, but images has"),
        ("names: [a, b]\nsplits: {train: x, seed: 1}", ":2: splits: seed is for shares only; remove it"),
        ("names: [a, b]\nsplits: {train: x/y}", ":2: splits: a folder is one name, without slashes"),
        ("names: [a, b]\nsplits: {tr ain: x}", ":2: splits: 'tr ain' is not the name of a split"),
        ("names: [a, b]\nsplits: [train, trainval]", ":2: splits: trainval is made of train and val by itself"),
        ("names: [a, b]\nmap: {0: a}", ":2: map: nothing is mapped to 'b'; add its id, or remove it from names"),
        ("names: [car, b]\nmap: {0: cars, 1: b}", ":2: map: 'cars' is not one of names; did you mean 'car'?"),
        ("names: [a, b]\nmap: {0: a, 1 2 3: b}", ":2: map: ids and colours; use one of the two"),
        ("names: [a, b]\nmap: {0: a, 99999: b}", ":2: map: 99999 is neither an id up to 65535 nor a colour"),
        ("names: [a, b]\nmap: {1 2 3: a, [1, 2, 3]: b}", ":2: map: [1, 2, 3] is given twice"),
        ("names: [a, b]\nmap: palette", ":2: map: there is no palette; add the colours"),
        ("names: [a, b]\nmap: [0, 1]", ":2: map: [0, 1] is no block"),
        ("names: [a, b]\nmap: {0: a, 1: b}\nreduce_zero_label: true", ":2: map: not together with reduce_zero_label"),
        ("names: [a, b]\nreduce_zero_label: 1", ":2: reduce_zero_label: must be true or false, not 1"),
        ("names: [a, b]\nignore: 255", ":2: ignore: 255 is not a list with items; write for example [0, 255]"),
        ("names: [a, b]\nignore: [1]", ":2: ignore: 1 is a class; remove it here"),
        ("names: [a, b]\nignore: [[0, 0, 0]]", ":2: ignore: [0, 0, 0]; write ids, because map has no colours"),
        ("names: [a, b]\nimage_range: [5, 5]", ":2: image_range: [5, 5] is not [low, high] with low < high"),
        ("names: [a, b]\nchannels: [0, 1]", ":2: channels: [0, 1] is not one or three numbers from 0"),
        ("names: [a, b]\ngroup: city", ":2: group: 'city' is not a choice; choose folder"),
        ("names: [a, b]\nunpaired: drop", ":2: unpaired: 'drop' is not a choice; choose refuse or skip"),
    ],
)
def test_mistakes_name_file_line_key_and_remedy(text, words, tmp_path):
    with pytest.raises(DataError) as caught:
        described(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'classes.yaml'}:")
    assert words in str(caught.value)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{train: 0.5, val: 0.6}", "shares must be above 0 and add up to 1, not 1.1"),
        ("{train: 1.0, val: 0}", "shares must be above 0 and add up to 1, not 1"),
        ("{train: 0.5, val: 0.5, seed: -1}", "seed -1 is not a whole number from 0"),
        ("[train, val]", "folders, but images has no {split}"),
        ("{train: [a, [b]]}", "is no list of stems"),
        ("{train: []}", "is not a list with items"),
    ],
)
def test_mistakes_in_shares_and_lists(text, words, tmp_path):
    with pytest.raises(DataError) as caught:
        described(tmp_path, f"names: [a, b]\nimages: x/*.png\nlabels: y/{{stem}}.png\nsplits: {text}\n")
    assert words in str(caught.value)
    assert "classes.yaml:4: splits: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("names:\n" + "  - a\n" * 20_000, "more than 100000 characters; "),
        ("names: " + "[" * 90_000, ":1: blocks are nested too deeply; "),
        ("names: " + "{a: " * 20_000, ":1: blocks are nested too deeply; "),
        ("names: [" + ", ".join(f"a{number}" for number in range(9000)) + "]", "9000 classes; use at most 255"),
        ("names:\n  - 1" + "x" * 90_000, ":2: names: '1xxx"),
        ("names: [a]\nignore: [" + "1" * 5000 + "]", ":2: a whole number of more than 63 bits"),
        ('names: [a, "b\\0"]', ":1: a line break or special character"),
        ('names: [a, "\\U00110000"]', ":1: not valid YAML: the parser fails"),
    ],
    ids=["long", "lists", "blocks", "classes", "name", "digits", "null", "parser"],
)
def test_length_and_depth_have_bounds_and_so_has_what_a_message_shows(text, words, tmp_path):
    with pytest.raises(DataError) as caught:
        described(tmp_path, text)
    message = str(caught.value).removeprefix(str(tmp_path))
    assert words in message
    assert len(message) < 400


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "classes.yaml").write_bytes(b"names: [\xff]")
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_description(tmp_path / "classes.yaml")
    with pytest.raises(DataError, match="cannot be read"):
        read_description(tmp_path)


def test_shares_depend_on_names_and_seed_only_and_keep_groups_together():
    names = [f"{city}/{number}" for city in "abcdefghij" for number in range(5)]
    groups = {name: name for name in names}
    shares = Shares({"train": 0.8, "val": 0.1, "test": 0.1}, 0)
    first = by_shares(names, groups, shares)
    assert by_shares(reversed(names), dict(reversed(groups.items())), shares) == first
    assert [list(first.values()).count(split) for split in shares.shares] == [40, 5, 5]
    assert by_shares(names, groups, Shares(shares.shares, 1)) != first
    cities = by_shares(names, {name: name[0] for name in names}, shares)
    assert {len({cities[name] for name in names if name[0] == city}) for city in "abcdefghij"} == {1}
    assert [list(cities.values()).count(split) for split in shares.shares] == [40, 5, 5]


@pytest.mark.parametrize("colours", [False, True])
def test_codes_of_a_label_against_a_loop(tmp_path, colours):
    rng = np.random.default_rng(0)
    meaning = {3: "a", 700: "b", 65535: "b"}
    if colours:
        meaning = {(1, 2, 3): "a", (255, 255, 255): "b", (0, 0, 9): "b"}
        raw = np.array([*meaning, (9, 9, 9)], dtype=np.uint8)[rng.integers(0, 4, (5, 7))]
    else:
        raw = np.array([*meaning, 9], dtype=np.uint16)[rng.integers(0, 4, (5, 7))]
    Image.fromarray(raw).save(tmp_path / "label.png")
    ids = ", ".join(f"{list(code) if colours else code}: {name}" for code, name in meaning.items())
    void = "[9, 9, 9]" if colours else "9"
    read = described(tmp_path, f"names: [a, b]\nmap: {{{ids}}}\nignore: [{void}]\n").codes.read
    expected = [
        ["ab".index(meaning[code]) if (code := as_code(pixel)) in meaning else 255 for pixel in row] for row in raw
    ]
    np.testing.assert_array_equal(read(tmp_path / "label.png", ""), expected)
    with pytest.raises(DataError, match=r"colour \(9, 9, 9\) \(\d+ pixels\); add" if colours else r"id 9 \(\d+ p"):
        described(tmp_path, f"names: [a, b]\nmap: {{{ids}}}\n").codes.read(tmp_path / "label.png", "add it")


def as_code(pixel):
    return tuple(map(int, pixel)) if np.ndim(pixel) else int(pixel)


def test_colour_codes_differ():
    assert colour_code((1, 0, 0)) == 65536
    assert len(KEYS) == len(set(KEYS))
