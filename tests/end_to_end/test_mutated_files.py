"""Whatever happens to a search space or a recipe, the command line plans it or says what is wrong; it never crashes."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.sweep import main

RECIPE = """\
extends: lower.yaml
data:
  name: synthetic
  crop: [64, 96]
model: {backbone: timm/test_resnet, head: hrnet, head_channels: 16}
contrast.memory: {pixels_per_class: 40, kind: pixel_region}
schedule.steps: 8
optim.lr: 1e-2
"""
ABLATION = """\
# yaml-language-server: $schema=schema.json
name: mutated
question: Does it break?
method: ablation
recipe: small
metric: {name: final/miou, goal: maximize}
seeds: 2
baseline: w/o contrast
fixed: {contrast.mining.kind: random}
rows:
  w/o contrast:  {contrast.source: none}
  "full: method":
    contrast:
      memory: {kind: pixel, pixels_per_class: 10}
one_at_a_time: {contrast.temperature: [0.05, 0.2]}
resources: {cpus: 1, gpus: auto, ranks: 2}
budget: {gpu_hours: 20, wall_hours: 8.5}
retries: {lost: 3, back_off_seconds: 5}
table:
  caption: A table.
  columns: [final/miou, final/pixel_accuracy]
"""
PARTS = """\
extends: [shared.yaml]
method: ablation
leave_one_out:
  memory: {contrast.memory: {kind: pixel, pixels_per_class: 50}}
  hard anchors: {contrast.anchors.per_class: 7}
"""
GRID = """\
method: grid
recipe: small
seeds: [11, 12]
baseline: {contrast.source: none}
parameters:
  contrast.memory.kind: {values: [none, pixel]}
  contrast.memory.pixels_per_class: {values: [10, 20]}
  contrast.temperature:
    values:
      - 0.1
      - 0.2
  optim.lr: {values: [0.3, 0.2]}
  optim.momentum: {value: 0.8}
zip: [[contrast.temperature, optim.lr]]
skip: [{contrast.temperature: 0.1, contrast.memory.kind: pixel}]
when: {contrast.memory.pixels_per_class: {contrast.memory.kind: [pixel]}}
max_consecutive_failures: 3
"""
SEARCH = """\
method: tpe
recipe: ./recipes/small.yaml
trials: 20
seeds: 1
search_seed: 4
metric:
  - {name: val/miou}
  - {name: cost/train_minutes, goal: minimize}
baseline: {contrast.source: none}
parameters:
  contrast.temperature: {min: 0.02, max: 1.0, distribution: log_uniform}
  contrast.weight: {min: 0.1, max: 0.5, step: 0.1}
  contrast.memory.kind: {values: [none, pixel]}
  contrast.memory.pixels_per_class: {min: 10, max: 50, distribution: int_log_uniform}
when: {contrast.memory.pixels_per_class: {contrast.memory.kind: [pixel]}}
"""
OTHER_FILES = {
    "shared.yaml": "recipe: small\nseeds: 2\nfixed: {contrast.memory.kind: none}\ntable: {caption: Shared.}\n",
    "recipes/lower.yaml": "schedule: {batch_size: 4, eval_every_steps: 4}\n",
}
MUTATED = {"ablation": ABLATION, "parts": PARTS, "grid": GRID, "search": SEARCH, "recipe": RECIPE}
WORD = re.compile(r"[\w./]+|'[^']*'|\"[^\"]*\"")
ODD = ["\u00a0", "\u2028", "\ufeff", "\u202e", "\x00", "\x07", "\x85", "é", "\U0001f525", "\t", "\r", "'", '"', "`"]
SCALARS = [
    *("null", "~", "true", "off", "yes", "-1", "0", "1", "1.5", "1e309", ".nan", ".inf", "-.inf", "017", "0x1F"),
    *("9" * 30, "9" * 5000, "-0.0", "1_000", "''", "' '", "none", "auto", "2026-01-01", "[]", "{}", "[[]]", "[null]"),
    *("{a: 1}", "{1: 2}", "? x", "*x", "&x 1", "!!int x", "!!binary YQ==", "!tag 1", "<<", "- x", "|", ">", "%", "@"),
    *('"\\ud800"', '"\\U00110000"', '"\\0"', '"a\\nb"', "~nobody/data", "/", ".", "..", "x" * 300, "contrast", "seed"),
    *(
        "ablation",
        "grid",
        "random",
        "pbt",
        "asha",
        "small",
        "s.yaml",
        "shared.yaml",
        "contrast.temperature",
        "baseline",
    ),
]
scalars = st.one_of(
    st.sampled_from(SCALARS),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=8),
)


@st.composite
def mutations(draw, text):
    """`text` after one to three mishaps."""
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.sampled_from(MISHAPS))(draw, text)
    return text


def on_lines(change):
    """A mishap of one line, given as a function of the drawn choices, the lines and the index of one of them."""

    def mishap(draw, text):
        lines = text.splitlines(keepends=True) or ["\n"]
        index = draw(st.integers(0, len(lines) - 1))
        change(draw, lines, index)
        return "".join(lines)

    return mishap


def drop(draw, lines, index):
    del lines[index]


def repeat(draw, lines, index):
    lines.insert(draw(st.integers(0, len(lines))), lines[index])


def indent(draw, lines, index):
    lines[index] = draw(st.sampled_from(["", " ", "  ", "    ", "\t"])) + lines[index].lstrip(" ")


def swap(draw, lines, index):
    other = draw(st.integers(0, len(lines) - 1))
    lines[index], lines[other] = lines[other], lines[index]


def replace_value(draw, lines, index):
    key, colon, _ = lines[index].partition(":")
    lines[index] = f"{key}{colon} {draw(scalars)}\n"


def replace_word(draw, text):
    """A key is renamed, or a value gets another type."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    found = draw(st.sampled_from(words))
    return text[: found.start()] + draw(scalars) + text[found.end() :]


def misspell(draw, text):
    """A letter of a word is lost."""
    words = list(WORD.finditer(text))
    if not words:
        return text
    found = draw(st.sampled_from(words))
    return text[: found.end() - 1] + text[found.end() :]


def exchange_words(draw, text):
    """Two words change places: keys meet values of another type."""
    words = list(WORD.finditer(text))
    if len(words) < 2:
        return text
    first, second = sorted(
        draw(st.lists(st.sampled_from(words), min_size=2, max_size=2)), key=lambda word: word.start()
    )
    if first.start() == second.start():
        return text
    between = text[first.end() : second.start()]
    return text[: first.start()] + second.group() + between + first.group() + text[second.end() :]


def truncate(draw, text):
    return text[: draw(st.integers(0, len(text)))]


def insert(draw, text):
    """An odd character somewhere."""
    index = draw(st.integers(0, len(text)))
    return text[:index] + draw(st.one_of(st.sampled_from(ODD), st.characters(codec="utf-8"))) + text[index:]


MISHAPS = [
    *(on_lines(drop), on_lines(repeat), on_lines(indent), on_lines(swap), on_lines(replace_value)),
    *(replace_word, replace_word, misspell, exchange_words, truncate, insert),
]

mutated_files = st.sampled_from(sorted(MUTATED)).flatmap(
    lambda name: st.tuples(st.just(name), mutations(MUTATED[name]))
)
MESSAGE = re.compile(r"^(s\.yaml|shared\.yaml|recipes/\w+\.yaml)(:\d+)?: .")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder that the files are written to, again and again."""
    folder = tmp_path_factory.mktemp("mutated")
    (folder / "recipes").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def dry_run(files):
    """Exit code, output and errors of a dry run of `s.yaml`."""
    for name, text in {**OTHER_FILES, "recipes/small.yaml": RECIPE, **files}.items():
        Path(name).write_bytes(text.encode("utf-8", "surrogatepass"))
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(["s.yaml", "--dry-run"])
    return code, output.getvalue(), errors.getvalue()


def files_of(name, text):
    """What is written for a mutated file: a recipe is asked for by an unharmed search space."""
    return {"recipes/small.yaml": text, "s.yaml": ABLATION} if name == "recipe" else {"s.yaml": text}


@pytest.mark.parametrize("name", MUTATED)
def test_before_the_mishap_every_file_is_planned(name, folder):
    code, output, errors = dry_run(files_of(name, MUTATED[name]))

    assert (code, errors) == (0, "")
    assert " to run" in output


@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(mutated=mutated_files)
def test_a_mutated_file_is_planned_or_told(mutated, folder):
    code, output, errors = dry_run(files_of(*mutated))

    assert code in (0, 2)
    if code == 0:
        assert " to run" in output
        assert errors == ""
    else:
        assert output == ""
        assert errors
        assert [line for line in errors.split("\n")[:-1] if not MESSAGE.match(line)] == []
